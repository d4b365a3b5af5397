"""Proves the coin game, by all its rule sets, against one that is written cell by cell in Python."""

import copy
import functools
import itertools

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import tf_metamapg as mapg
from tf_metamapg.games import coin_rules
from tf_metamapg.games.coin_game import CoinState
from tf_metamapg.testing.modes import MODES

RULES = {
    "lola": mapg.lola_rules(), "pola": mapg.pola_rules(), "loqa": mapg.loqa_rules(), "m_fos": mapg.m_fos_rules(),
    "pax": mapg.pax_rules(),
}
ONE_COIN = ("lola", "pola", "loqa")
MOVES = ((0, 1), (0, -1), (1, 0), (-1, 0), (0, 0))
CELLS = tuple(itertools.product(range(3), range(3)))
# The pairs (colour, player) of what can be seen, and what the published observations are, in their order.
PLANES = {
    "lola": ("red", "blue", "red coin", "blue coin"), "pola": ("red", "blue", "red coin", "blue coin"),
    "loqa": ("own", "other", "own coin", "other's coin"), "pax": ("own", "other", "own coin", "other's coin"),
    "m_fos": ("own", "other", "own coin", "other's coin", "own reward", "other's reward", "first"),
}


class Board:
    """One trajectory, a step at a time; places are (row, column)."""

    def __init__(self, name, uniforms):
        red, blue, first, second = uniforms
        self.name, self.players, self.coins = name, [CELLS[int(9 * red)], None], {}
        cells = [cell for cell in CELLS if name != "lola" or cell != self.players[0]]
        self.players[1] = cells[int(len(cells) * blue)]
        if name in ONE_COIN:
            self.coins["red" if second < 0.5 else "blue"] = self.new_coin(first)
        else:
            self.coins = {"red": self.new_coin(first), "blue": self.new_coin(second)}
        self.last = {"red": set(), "blue": set()}
        self.rewards, self.is_first = (0.0, 0.0), True

    def new_coin(self, uniform):
        cells = [cell for cell in CELLS if self.name not in ONE_COIN or cell not in self.players]
        return cells[int(len(cells) * uniform)]

    def copy(self):
        """What is there changes by assignment alone, but for who took the last coins."""
        other = copy.copy(self)
        other.last = dict(self.last)
        return other

    def step(self, actions, uniforms):
        """Rewards, and for each player the own and the others' coins that it took."""
        self.players = [
            ((row + MOVES[action][0]) % 3, (column + MOVES[action][1]) % 3)
            for (row, column), action in zip(self.players, actions)
        ]
        rewards, taken, coins = [0.0, 0.0], [[0, 0], [0, 0]], dict(self.coins)
        for colour, cell in self.coins.items():
            takers = [player for player in range(2) if self.players[player] == cell]
            if self.name == "lola":
                takers = takers[:1]
            for player in takers:
                is_own = (colour == "red") == (player == 0)
                rewards[player] += 1.0
                taken[player][0 if is_own else 1] += 1
                if not is_own:
                    rewards[1 - player] -= 2.0
            if takers:
                self.last[colour] = set(takers)
                uniform = uniforms[0 if self.name in ONE_COIN or colour == "red" else 1]
                del coins[colour]
                following = {"red": "blue", "blue": "red"}[colour] if self.name in ONE_COIN else colour
                coins[following] = self.new_coin(uniform)
        self.coins, self.rewards, self.is_first = coins, tuple(rewards), False
        return rewards, taken

    def image(self, agent):
        """[3, 3, planes]."""
        colours = ("red", "blue")
        names = {
            "own": colours[agent], "other": colours[1 - agent], "own coin": f"{colours[agent]} coin",
            "other's coin": f"{colours[1 - agent]} coin",
        }
        image = np.zeros([3, 3, len(PLANES[self.name])])
        for plane, name in enumerate(PLANES[self.name]):
            name = names.get(name, name)
            if name in colours:
                image[(*self.players[colours.index(name)], plane)] = 1.0
            elif name.endswith("coin") and name.split()[0] in self.coins:
                image[(*self.coins[name.split()[0]], plane)] = 1.0
            elif name.endswith("reward"):
                image[..., plane] = self.rewards[agent if name == "own reward" else 1 - agent]
            elif name == "first":
                image[..., plane] = float(self.is_first)
        return image

    def seen(self, agent, with_takers):
        """What must decide the number of a board, and nothing else."""
        own = self.players[agent]

        def offset(cell):
            return cell and tuple((there - here) % 3 for here, there in zip(own, cell))

        colours = ("red", "blue") if agent == 0 else ("blue", "red")
        places = (offset(self.players[1 - agent]), *(offset(self.coins.get(colour)) for colour in colours))
        takers = tuple(tuple(sorted(player != agent for player in self.last[colour])) for colour in colours)
        return (places, takers) if with_takers else places


def play(name, view, mode, n_trajectories, n_steps=60, seed=0):
    """(observations of both [T + 1, K, ...], rewards and metrics [T, K, 2], actions, the same boards in Python)."""
    game = mapg.CoinGame(RULES[name], view, dtype="float64")
    rng = np.random.default_rng(seed)
    shape = (1, 1, n_trajectories)
    reset = rng.uniform(size=[game.n_reset_uniforms, *shape])
    uniforms = rng.uniform(size=[n_steps, game.n_step_uniforms, *shape])
    actions = rng.integers(game.spec.actions[0].n, size=[n_steps, 2, *shape], dtype=np.int32)
    tasks = tf.constant(game.default_tasks[np.newaxis, np.newaxis])
    step = mode(lambda state, joint_action, numbers: game.step(tasks, state, tuple(tf.unstack(joint_action)), numbers))
    measured = mode(lambda state, joint_action: game.metrics(tasks, state, tuple(tf.unstack(joint_action))))
    observe = mode(lambda state: [game.observe(tasks, state, agent) for agent in range(2)])
    state = game.reset(tasks, tf.constant(reset))
    observations, rewards, metrics = [observe(state)], [], []
    for time in range(n_steps):
        metrics.append(measured(state, tf.constant(actions[time])))
        state, gained, continues = step(state, tf.constant(actions[time]), tf.constant(uniforms[time]))
        assert continues == ()
        observations.append(observe(state))
        rewards.append(gained)
    boards = [Board(name, reset[:, 0, 0, k]) for k in range(n_trajectories)]
    observations, rewards, metrics = tf.nest.map_structure(np.array, (observations, rewards, metrics))
    return observations, rewards, metrics, actions[:, :, 0, 0], uniforms[:, :, 0, 0], boards


class PlayTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.product(name=tuple(RULES), mode=tuple(MODES))
    def test_images_rewards_and_metrics(self, name, mode):
        observations, rewards, metrics, actions, uniforms, boards = play(name, "image", MODES[mode], 8)
        n_taken = np.zeros(2)
        for time in range(len(rewards)):
            for agent in range(2):
                self.assertAllEqual(observations[time][agent][0, 0], [board.image(agent) for board in boards])
            for k, board in enumerate(boards):
                expected, taken = board.step(actions[time, :, k], uniforms[time, :, k])
                n_taken += np.sum(taken, axis=0)
                for agent in range(2):
                    self.assertEqual(rewards[time][agent][0, 0, k], expected[agent])
                    self.assertEqual(metrics[time]["own_coins"][agent][0, 0, k], taken[agent][0])
                    self.assertEqual(metrics[time]["others_coins"][agent][0, 0, k], taken[agent][1])
                    share = taken[agent][0] / sum(taken[agent]) if any(taken[agent]) else np.nan
                    self.assertAllEqual(metrics[time]["own_share"][agent][0, 0, k], share)
        self.assertAllGreater(n_taken, 20)

    @parameterized.product(name=tuple(RULES), with_takers=[False, True])
    def test_boards_are_numbered_by_what_they_look_like(self, name, with_takers):
        """Two boards have the same number just if they look the same from where the agent stands."""
        observations, rewards, _, actions, uniforms, boards = play(
            name, "board_and_takers" if with_takers else "board", MODES["graph"], 60
        )
        seen = [{}, {}]
        for time in range(len(rewards)):
            for k, board in enumerate(boards):
                for agent in range(2):
                    number = int(observations[time][agent][0, 0, k])
                    self.assertEqual(seen[agent].setdefault(number, board.seen(agent, with_takers)),
                                     board.seen(agent, with_takers))
                board.step(actions[time, :, k], uniforms[time, :, k])
        game = mapg.CoinGame(RULES[name], "board_and_takers" if with_takers else "board")
        for numbered in seen:
            self.assertLen(set(numbered.values()), len(numbered))
            self.assertAllInRange(list(numbered), 0, game.spec.observations[0].n - 1)
        # The same number means the same to both.
        both = set(seen[0]) & set(seen[1])
        self.assertGreater(len(both), 50)
        for number in both:
            self.assertEqual(seen[0][number], seen[1][number])

    @parameterized.parameters(*RULES)
    def test_vectors_are_images_plane_by_plane(self, name):
        images, *_ = play(name, "image", MODES["eager"], 3, n_steps=5)
        vectors, *_ = play(name, "vector", MODES["eager"], 3, n_steps=5)
        for image, vector in zip(images, vectors):
            for one, other in zip(image, vector):
                planes = np.moveaxis(one, -1, -3)
                self.assertAllEqual(planes.reshape(other.shape), other)

    @parameterized.parameters(*RULES)
    def test_players_may_see_different_things(self, name):
        views = ("image", "board_and_takers")
        mixed, *_ = play(name, views, MODES["eager"], 3, n_steps=5)
        for agent, view in enumerate(views):
            alike, *_ = play(name, view, MODES["eager"], 3, n_steps=5)
            for both, others in zip(mixed, alike):
                self.assertAllEqual(both[agent], others[agent])
        game = mapg.CoinGame(RULES[name], views)
        for agent, view in enumerate(views):
            self.assertEqual(game.spec.agent(agent), mapg.CoinGame(RULES[name], view).spec.agent(agent))

    def test_sizes(self):
        sizes = {name: mapg.CoinGame(rules, "board").spec.observations[0].n for name, rules in RULES.items()}
        self.assertEqual(sizes, {"lola": 128, "pola": 128, "loqa": 128, "m_fos": 729, "pax": 729})
        self.assertEqual(mapg.CoinGame(RULES["lola"], "board_and_takers").spec.observations[0].n, 1152)
        self.assertEqual(mapg.CoinGame(RULES["pola"], "board_and_takers").spec.observations[0].n, 2048)

    def test_every_rule_set_has_a_name_of_its_own(self):
        self.assertLen({rules.name for rules in RULES.values()}, len(RULES))
        self.assertCountEqual(
            [f"{name}_rules" for name in RULES], [name for name in dir(coin_rules) if name.endswith("_rules")]
        )


@functools.cache
def numbering(name):
    """A function of a board and an agent: the number that the agent gives to the board."""
    game, numbers = mapg.CoinGame(RULES[name], "board"), {}

    def number(board, agent):
        key = (board.seen(agent, with_takers=False), agent)
        if key not in numbers:
            rows, columns = zip(*board.players)
            cells = {colour: 3 * row + column for colour, (row, column) in board.coins.items()}
            state = CoinState(
                rows, columns, tuple(cells.get(colour, 9) for colour in ("red", "blue")), (0, 0), (0.0, 0.0), 0.0
            )
            state = tf.nest.map_structure(lambda leaf: tf.constant([[[leaf]]]), state)
            numbers[key] = int(game.observe((), state, agent)[0, 0, 0])
        return numbers[key]

    return number


def absolute_values(name, strategies, discount):
    """V of both and the discounted share of own coins, over all places of the board, one by one."""
    number, states, boards, start = numbering(name), {}, [], {}

    def index(board):
        key = (*board.players, *board.coins.items())
        if key not in states:
            states[key] = len(boards)
            boards.append(board)
        return states[key]

    def midpoints(n):
        return (np.arange(n) + 0.5) / n

    n_blue = 8 if name == "lola" else 9
    for red, blue, colour in itertools.product(midpoints(9), midpoints(n_blue), (0.25, 0.75)):
        places = midpoints(9 - len(set(Board(name, (red, blue, 0.0, colour)).players)))
        for coin in places:
            where = index(Board(name, (red, blue, coin, colour)))
            start[where] = start.get(where, 0.0) + 1.0 / (9 * n_blue * 2 * len(places))
    edges, gains, done = [], [], 0
    while done < len(boards):
        board = boards[done]
        first, second = (strategies[agent][number(board, agent)] for agent in range(2))
        for joint in itertools.product(np.flatnonzero(first), np.flatnonzero(second)):
            prob = first[joint[0]] * second[joint[1]]
            following = board.copy()
            rewards, taken = following.step(joint, [0.0])
            gains.append((done, prob * np.array([*rewards, taken[0][0] + taken[1][0], np.sum(taken)])))
            # Where a coin is taken, the next one may lie on each free cell.
            n_places = 9 - len(set(following.players)) if np.sum(taken) else 1
            for coin in midpoints(n_places):
                following = board.copy()
                following.step(joint, [coin])
                edges.append((done, index(following), prob / n_places))
        done += 1
    transitions, reward = np.zeros([done, done]), np.zeros([done, 4])
    for one, other, prob in edges:
        transitions[one, other] += prob
    for one, gain in gains:
        reward[one] += gain
    first = np.array([start.get(one, 0.0) for one in range(done)])
    totals = first @ np.linalg.solve(np.eye(done) - discount * transitions, reward)
    return totals[:2], totals[2] / totals[3]


class ExactTest(tf.test.TestCase, parameterized.TestCase):

    def exact(self, name, view, strategies, discount=0.9):
        """(values of both, share of own coins)."""
        game = mapg.ExactCoinGame(RULES[name], view, discount)
        tasks = mapg.DefaultTasks(game).sample(mapg.random.root_keys([0]), 1)
        strategies = tuple(tf.constant(one[np.newaxis, np.newaxis]) for one in strategies)
        metrics = game.exact_metrics(tasks, strategies)
        own, others = (sum(float(one[0, 0]) for one in metrics[which]) for which in ("own_coins", "others_coins"))
        return [float(value[0, 0]) for value in game.exact_values(tasks, strategies)], own / (own + others)

    @parameterized.product(name=["lola", "pola"], which=["uniform", "cooperate", "defect", "mixed"])
    def test_values_on_the_board_itself(self, name, which):
        """On all places of the board, with other rules of thumb, another solver and nothing of a torus' symmetry."""
        cooperate, defect = mapg.always_cooperate(RULES[name]), mapg.always_defect(RULES[name])
        uniform = np.full([128, 4], 0.25)
        strategies = {
            "uniform": (uniform, uniform), "cooperate": (cooperate, cooperate), "defect": (defect, defect),
            "mixed": (defect, 0.5 * cooperate + 0.5 * uniform),
        }[which]
        values, share = self.exact(name, "board", strategies)
        expected_values, expected_share = absolute_values(name, strategies, 0.9)
        self.assertAllClose(values, expected_values, rtol=0.0, atol=1e-10)
        self.assertAllClose(share, expected_share, rtol=0.0, atol=1e-10)

    @parameterized.parameters("lola", "pola", "loqa")
    def test_what_the_reference_players_do(self, name):
        rules = RULES[name]
        cooperate, defect = mapg.always_cooperate(rules), mapg.always_defect(rules)
        self.assertAllClose(cooperate.sum(axis=-1), np.ones(128), rtol=1e-12, atol=0.0)
        self.assertAllClose(defect.sum(axis=-1), np.ones(128), rtol=1e-12, atol=0.0)
        # Of two that cooperate nobody takes the other's coin; whoever defects takes the next one, too.
        values, share = self.exact(name, "board", (cooperate, cooperate))
        self.assertEqual(share, 1.0)
        self.assertAllGreater(values, 0.5)
        values, share = self.exact(name, "board", (defect, cooperate))
        self.assertGreater(values[0], 1.0)
        self.assertLess(values[1], -0.5)
        # What two that defect take, they take from each other as often as not.
        values, share = self.exact(name, "board", (defect, defect))
        self.assertAllClose(share, 0.5, rtol=0.0, atol=0.02)

    def test_takers_change_nothing_for_who_does_not_look_at_them(self):
        board = mapg.always_defect(RULES["lola"]), 0.3 * mapg.always_cooperate(RULES["lola"]) + 0.7 / 4
        repeated = tuple(np.repeat(strategy, 9, axis=0) for strategy in board)
        self.assertAllClose(
            self.exact("lola", "board_and_takers", repeated)[0], self.exact("lola", "board", board)[0],
            rtol=1e-12, atol=1e-12,
        )
        self.assertAllEqual(mapg.always_cooperate(RULES["lola"], "board_and_takers"),
                            np.repeat(mapg.always_cooperate(RULES["lola"]), 9, axis=0))

    @parameterized.parameters(("lola", "board_and_takers"), ("pola", "board"), ("pax", "board"))
    def test_exact_values_are_those_of_trajectories(self, name, view):
        """Random policies of both; within five standard errors of 40,000 trajectories of 60 steps."""
        exact = mapg.ExactCoinGame(RULES[name], view, discount=0.8)
        game = mapg.CoinGame(RULES[name], view, discount=0.8, dtype="float64")
        policies = [mapg.tabular_policy(game, agent, initial_stddev=1.5) for agent in range(2)]
        joint_params = mapg.for_each_task(tuple(policy.initial_params([3]) for policy in policies), 1)
        estimator = mapg.ScoreFunctionEstimator(game, policies, 40_000, 60, mapg.NoBaseline)
        keys = mapg.random.root_keys([1])
        trajectory = tf.function(estimator.simulator.sample, autograph=False, jit_compile=True)(
            joint_params, mapg.DefaultTasks(game).sample(keys, 1), keys
        )
        strategies = tuple(policy.strategy(params) for policy, params in zip(policies, joint_params))
        tasks = mapg.DefaultTasks(exact).sample(keys, 1)
        values, metrics = exact.exact_values(tasks, strategies), exact.exact_metrics(tasks, strategies)
        weights = 0.8 ** np.arange(60)
        for agent in range(2):
            returns = trajectory.rewards[agent][0, 0].numpy() @ weights
            error = returns.std() / 200.0
            self.assertAllClose(values[agent][0, 0], returns.mean(), rtol=0.0, atol=5 * error + 1e-5)
            for metric in ("own_coins", "others_coins"):
                taken = trajectory.metrics[metric][agent][0, 0].numpy() @ weights * 0.2
                error = taken.std() / 200.0
                self.assertAllClose(metrics[metric][agent][0, 0], taken.mean(), rtol=0.0, atol=5 * error + 1e-5)
            if game.rules.two_coins:  # of which one may take both at once
                continue
            own, others = (float(metrics[metric][agent][0, 0]) for metric in ("own_coins", "others_coins"))
            self.assertAllClose(metrics["own_share"][agent][0, 0], own / (own + others), rtol=1e-12)


if __name__ == "__main__":
    tf.test.main()
