"""Proves that every seed has a stream of its own, that streams differ, and that they never change."""

import itertools

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tf_metamapg.numerics import random

# What was drawn when the first results were made.
FOLDED = [[-6411193824288604561, 7], [6791897765849424158, 7]]
FLOAT64_DRAWS = [[0.10573847201284658, 0.6192254948432857], [0.11246485210670787, 0.8355436499133535]]
FLOAT32_DRAWS = [[0.10573846101760864, 0.6192254424095154], [0.11246484518051147, 0.8355436325073242]]
INTEGER_SEEDS = [1878776328, 822710854]

# Of the published generator.
DEFAULT_GAMMA = 0x9E3779B97F4A7C15
SEED_1234567_OUTPUTS = [6457827717110365317, 3203168211198807973, 9817491932198370423]

# A seed whose γ would have too few changes between neighbouring bits.
WEAK_SEED = 42


def split_mix_64(start, gamma, n_outputs):
    """The generator as it was published, in integers modulo 2⁶⁴: a list of its first outputs."""
    outputs = []
    for number in range(1, n_outputs + 1):
        state = (start + number * gamma) % 2**64
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB % 2**64
        outputs.append(state ^ (state >> 31))
    return outputs


def hash_of(number):
    return split_mix_64(number, DEFAULT_GAMMA, 1)[0]


def start_and_gamma(key):
    """Where the stream of a key starts, its γ, and whether that had to be mended."""
    start = hash_of(hash_of(key[0] % 2**64) + key[1])
    gamma = hash_of(start) | 1
    n_changes = bin(gamma ^ (gamma >> 1)).count("1")
    return (start, gamma ^ 0xAAAAAAAAAAAAAAAA, True) if n_changes < 24 else (start, gamma, False)


def chi_squared(first, second):
    """How uneven pairs of integers in [0, 16) fall into a grid of 16 × 16."""
    counts, expected = np.bincount(16 * first + second, minlength=256), len(first) / 256
    return np.sum((counts - expected) ** 2) / expected


def bits_of(numbers):
    """The highest four and the lowest four of the 53 bits of float64 numbers."""
    return (16 * numbers).astype(int), (2**53 * numbers).astype(int) % 16


class RandomTest(tf.test.TestCase, parameterized.TestCase):

    def test_root_keys(self):
        keys = random.root_keys([7, 0, 2**40])
        self.assertEqual(keys.dtype, tf.int64)
        self.assertAllEqual(keys[:, 0], [7, 0, 2**40])
        self.assertEqual(keys.shape, [3, 2])

    @parameterized.parameters("float32", "float64")
    def test_draws_depend_on_their_own_row_only(self, dtype):
        together = random.uniforms(random.root_keys(range(5)), [4, 3], dtype)
        self.assertEqual(together.shape, [5, 4, 3])
        self.assertEqual(together.dtype, dtype)
        for seed in range(5):
            alone = random.uniforms(random.root_keys([seed]), [4, 3], dtype)
            self.assertAllEqual(together[seed], alone[0])
        reordered = random.uniforms(random.root_keys([3, 9, 1]), [4, 3], dtype)
        self.assertAllEqual(reordered[0], together[3])
        self.assertAllEqual(reordered[2], together[1])
        self.assertLen(np.unique(together), 5 * 4 * 3)

    def test_folded_keys_depend_on_their_own_row_only(self):
        together = random.fold_in(random.root_keys(range(5)), 11)
        self.assertEqual(together.shape, [5, 2])
        self.assertEqual(together.dtype, tf.int64)
        for seed in range(5):
            self.assertAllEqual(together[seed], random.fold_in(random.root_keys([seed]), 11)[0])

    def test_different_data_give_different_streams(self):
        # As a run uses them: phase, then index of the meta-update, then what is drawn.
        root = random.root_keys(range(4))
        phases = (random.META_TRAIN, random.META_VALIDATION, random.META_TEST)
        self.assertLen(set(phases), 3)
        streams = {}
        for phase, index, draw in itertools.product(phases, range(3), range(3)):
            keys = random.fold_in(random.fold_in(random.fold_in(root, phase), index), draw)
            for seed, numbers in enumerate(random.uniforms(keys, [8], "float64").numpy()):
                streams[phase, index, draw, seed] = numbers
        self.assertLen(np.unique(np.stack(list(streams.values()))), 3 * 3 * 3 * 4 * 8)

    def test_fold_in_is_not_commutative(self):
        keys = random.root_keys([0])
        one_two = random.fold_in(random.fold_in(keys, 1), 2)
        two_one = random.fold_in(random.fold_in(keys, 2), 1)
        self.assertNotAllEqual(one_two, two_one)

    @parameterized.parameters(tf.int32, tf.int64)
    def test_data_may_be_a_tensor(self, dtype):
        keys = random.root_keys(range(2))
        self.assertAllEqual(random.fold_in(keys, tf.constant(5, dtype)), random.fold_in(keys, 5))
        self.assertAllEqual(random.fold_in(keys, tf.Variable(5, dtype=dtype)), random.fold_in(keys, 5))

    @parameterized.parameters(0, 1, 2)
    def test_seed_axis(self, seed_axis):
        keys = random.root_keys([4, 5, 6])
        draws = random.uniforms(keys, [2, 5], "float64", seed_axis=seed_axis).numpy()
        shape = [2, 5]
        shape.insert(seed_axis, 3)
        self.assertEqual(list(draws.shape), shape)
        for row in range(3):
            alone = random.uniforms(keys[row : row + 1], [2, 5], "float64")[0]
            self.assertAllEqual(draws.take(row, axis=seed_axis), alone)

    def test_the_same_seed_gives_the_same_bits(self):
        def draw(keys):
            return random.uniforms(random.fold_in(keys, 3), [50], "float64")

        keys = random.root_keys([0, 1])
        first = draw(keys)
        tf.random.set_seed(123)
        self.assertAllEqual(draw(keys), first)
        self.assertAllEqual(tf.function(draw, autograph=False)(keys), first)

    def test_bits_stay_what_they_have_always_been(self):
        # Published results name their seeds, so these numbers must not change.
        self.assertAllEqual(random.fold_in(random.root_keys([0, 1]), 7), FOLDED)
        self.assertAllEqual(random.uniforms(random.root_keys([0, 1]), [2], "float64"), FLOAT64_DRAWS)
        self.assertAllEqual(
            random.uniforms(random.root_keys([0, 1]), [2], "float32"), np.array(FLOAT32_DRAWS, np.float32)
        )
        self.assertEqual([random.integer_seed(0, 0), random.integer_seed(3, 1)], INTEGER_SEEDS)

    def test_split_mix_64_of_this_test_is_the_published_one(self):
        self.assertEqual(hash_of(0), 0xE220A8397B1DCDAF)
        self.assertEqual(split_mix_64(1234567, DEFAULT_GAMMA, 3), SEED_1234567_OUTPUTS)

    def test_fold_in_hashes_by_split_mix_64(self):
        keys = np.array([[0, 0], [1, 0], [-5, 7], [2**62, -1]])
        for key, (hashed, data) in zip(keys.tolist(), random.fold_in(tf.constant(keys), 9).numpy().tolist()):
            self.assertEqual(hashed % 2**64, hash_of(hash_of(key[0] % 2**64) + key[1]))
            self.assertEqual(data, 9)

    @parameterized.product(dtype=["float32", "float64"], seed_axis=[0, 1, 2])
    def test_uniforms_are_split_mix_64_with_a_start_and_a_gamma_for_each_key(self, dtype, seed_axis):
        keys = np.array([[0, 0], [WEAK_SEED, 0], [-5, 7], [2**62, -1]])
        n_bits = {"float32": 24, "float64": 53}[dtype]
        draws = random.uniforms(tf.constant(keys), [3, 40], dtype, seed_axis).numpy()
        are_mended = []
        for row, key in enumerate(keys.tolist()):
            start, gamma, is_mended = start_and_gamma(key)
            self.assertEqual(gamma % 2, 1)
            are_mended.append(is_mended)
            expected = [(output >> (64 - n_bits)) / 2**n_bits for output in split_mix_64(start, gamma, 120)]
            self.assertAllEqual(draws.take(row, axis=seed_axis), np.reshape(expected, [3, 40]))
        self.assertEqual(are_mended, [False, True, False, False])

    @parameterized.product(jit_compile=[False, True], dtype=["float32", "float64"])
    def test_compiled_bits_are_the_same(self, jit_compile, dtype):
        def draw(keys, data):
            folded = random.fold_in(keys, data)
            return folded, random.uniforms(folded, [5, 7, 11], dtype, seed_axis=2)

        arguments = random.root_keys([0, WEAK_SEED, 2**40]), tf.constant(3)
        compiled = tf.function(draw, autograph=False, jit_compile=jit_compile)
        for actual, expected in zip(compiled(*arguments), draw(*arguments)):
            self.assertAllEqual(actual, expected)

    def test_draws_are_uniform(self):
        # By the Dvoretzky-Kiefer-Wolfowitz inequality, with confidence 99.9 % for all six streams together.
        n_draws, n_streams = 20000, 6
        allowed = np.sqrt(np.log(2 * n_streams / 0.001) / (2 * n_draws))
        root = random.root_keys(range(3))
        streams = [random.uniforms(random.fold_in(root, phase), [n_draws], "float64") for phase in range(2)]
        for stream in np.concatenate(streams):
            self.assertAllInRange(stream, 0.0, 1.0, open_upper_bound=True)
            empirical = np.arange(n_draws + 1) / n_draws
            ordered = np.sort(stream)
            distance = max(np.max(empirical[1:] - ordered), np.max(ordered - empirical[:-1]))
            self.assertLess(distance, allowed)

    def test_streams_are_uncorrelated(self):
        # 15 correlations, all within z / √n with confidence 99.9 %: z = Φ⁻¹(1 − 0.001 / 30) = 3.99.
        n_draws = 20000
        root = random.root_keys(range(3))
        streams = np.concatenate(
            [random.uniforms(random.fold_in(root, phase), [n_draws], "float64") for phase in range(2)]
        )
        correlations = np.corrcoef(streams)[np.triu_indices(6, k=1)]
        self.assertLen(correlations, 15)
        self.assertAllInRange(np.abs(correlations), 0.0, 3.99 / np.sqrt(n_draws))

    def test_numbers_that_follow_each_other_are_independent(self):
        # Of 16 streams, with confidence 99.9 % for all correlations, which are within z / √n,
        # z = Φ⁻¹(1 − 0.001 / 32) = 4.00, and with as much for all 32 sums of pairs that share no number: of χ² with
        # 255 degrees of freedom, the quantiles of 0.001 / 64 and 1 − 0.001 / 64 are 171.6 and 360.2.
        n_draws = 2**16
        root = random.root_keys(range(4))
        streams = [random.uniforms(random.fold_in(root, data), [n_draws], "float64") for data in range(4)]
        for stream in np.concatenate(streams):
            self.assertLess(abs(np.corrcoef(stream[:-1], stream[1:])[0, 1]), 4.00 / np.sqrt(n_draws - 1))
            for bits in bits_of(stream):
                self.assertBetween(chi_squared(bits[::2], bits[1::2]), 171.6, 360.2)

    def test_streams_of_neighbouring_keys_are_independent(self):
        # As above, of 12 pairs of neighbouring seeds and 12 of neighbouring data: z = Φ⁻¹(1 − 0.001 / 48) = 4.10,
        # and the quantiles of 0.001 / 96 and 1 − 0.001 / 96 are 170.0 and 362.8.
        n_draws = 2**16
        root = random.root_keys(range(4))
        streams = np.stack([random.uniforms(random.fold_in(root, data), [n_draws], "float64") for data in range(4)])
        neighbours = [(streams[data, seed], streams[data, seed + 1]) for data in range(4) for seed in range(3)]
        neighbours += [(streams[data, seed], streams[data + 1, seed]) for data in range(3) for seed in range(4)]
        for first, second in neighbours:
            self.assertLess(abs(np.corrcoef(first, second)[0, 1]), 4.10 / np.sqrt(n_draws))
            for bits, other_bits in zip(bits_of(first), bits_of(second)):
                self.assertBetween(chi_squared(bits, other_bits), 170.0, 362.8)

    def test_integer_seeds(self):
        paths = list(itertools.product(range(20), range(5)))
        seeds = [random.integer_seed(*path) for path in paths]
        self.assertLen(set(seeds), len(paths))
        self.assertAllInRange(seeds, 0, 2**31 - 1)
        self.assertEqual([type(seed) for seed in seeds[:1]], [int])
        self.assertEqual([random.integer_seed(*path) for path in paths], seeds)


if __name__ == "__main__":
    tf.test.main()
