"""Proves games of OpenSpiel against OpenSpiel: values by its own evaluation of policies, samples by its rules."""

import sys
from unittest import mock

from absl.testing import parameterized
import numpy as np
from open_spiel.python import policy as spiel_policy
from open_spiel.python.algorithms import expected_game_score
import pyspiel
import tensorflow as tf

import tf_metamapg as mapg
from tf_metamapg import checks
from tf_metamapg.testing.modes import MODES

GAMES = (
    "matrix_pd", "matrix_rps", "matching_pennies_3p", "blotto(coins=3,fields=2)",
    "goofspiel(num_cards=3,imp_info=True,points_order=descending)",
    "goofspiel(num_cards=3,imp_info=False,points_order=descending)",
    "goofspiel(num_cards=3,imp_info=True,points_order=random)",
    "goofspiel(num_cards=4,imp_info=True,points_order=descending,returns_type=point_difference)",
    "goofspiel(num_cards=3,players=3,imp_info=True,points_order=random)",
    "oshi_zumo(coins=3,size=1,horizon=3)",
    "repeated_game(stage_game=matrix_pd(),num_repetitions=3)",
    "python_iterated_prisoners_dilemma(max_game_length=4,termination_probability=0.3)",
    "coop_box_pushing(horizon=2)",
)


class Played(spiel_policy.Policy):
    """What OpenSpiel is told of strategies: arrays [O, A] of probabilities, of actions that are counted around."""

    def __init__(self, game, strategies):
        super().__init__(pyspiel.load_game(game.spec.name), list(range(game.spec.n_agents)))
        self._game, self._strategies = game, strategies

    def action_probabilities(self, state, player_id=None):
        try:
            text = state.information_state_string(player_id)
        except pyspiel.SpielError:
            text = state.observation_string(player_id)
        observation = self._game.information_states[player_id].index(text)
        legal = state.legal_actions(player_id)
        assert tuple(legal) == self._game.legal_actions[player_id][observation]
        probs = dict.fromkeys(legal, 0.0)
        for action, prob in enumerate(self._strategies[player_id][observation]):
            probs[legal[action % len(legal)]] += prob
        return probs


def random_strategies(game, seed):
    rng = np.random.default_rng(seed)
    return [
        rng.dirichlet(np.full(action.n, 0.5), size=seen.n)
        for seen, action in zip(game.spec.observations, game.spec.actions)
    ]


def tensors(strategies):
    return tuple(tf.constant(one[np.newaxis, np.newaxis]) for one in strategies)


def tasks_of(game):
    return mapg.DefaultTasks(game).sample(mapg.random.root_keys([0]), 1)


class OpenSpielGameTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.product(name=GAMES, seed=[0, 1])
    def test_values_of_random_policies(self, name, seed):
        game = mapg.OpenSpielGame(name)
        strategies = random_strategies(game, seed)
        expected = expected_game_score.policy_value(
            pyspiel.load_game(name).new_initial_state(), Played(game, strategies)
        )
        values = [float(one[0, 0]) for one in game.exact_values(tasks_of(game), tensors(strategies))]
        self.assertAllClose(values, expected, rtol=0.0, atol=1e-9)

    def test_what_it_says(self):
        game = mapg.OpenSpielGame("goofspiel(num_cards=3,imp_info=True,points_order=descending)")
        spec = game.spec
        self.assertEqual((spec.discount, spec.dtype, spec.ends), (1.0, "float64", True))
        # The last card is played by itself: there is a first step, and a second after each pair of cards.
        self.assertEqual(game.n_states, 1 + 3 * 3)
        for agent in range(2):
            self.assertIn(f"P{agent} hand: 1 2 3", game.information_states[agent][0])
            # A player sees its own card and who has won: first, with 1, 2 or 3 against what may be.
            self.assertLen(game.information_states[agent], 8)
            self.assertEqual(game.legal_actions[agent][0], (0, 1, 2))
            self.assertCountEqual(set(game.legal_actions[agent][1:]), {(1, 2), (0, 2), (0, 1)})
        self.assertEqual(spec.actions, (mapg.Discrete(3),) * 2)
        self.assertEqual(spec.observations, (mapg.Discrete(8),) * 2)

    def test_chance_is_part_of_transitions(self):
        """The prize is drawn: each of three first states, and after each joint action one of two."""
        game = mapg.OpenSpielGame("goofspiel(num_cards=3,imp_info=False,points_order=random)")
        self.assertEqual(game.n_states, 3 + 3 * 9 * 2)
        uniforms = tf.reshape(tf.constant(np.linspace(0.0, 0.999, 300)), [1, 1, 1, 300])
        first = game.reset((), uniforms)[0, 0].numpy()
        self.assertAllEqual(np.bincount(first), [100, 100, 100])
        joint_action = (tf.zeros([1, 1, 300], tf.int32),) * 2
        state, rewards, continues = game.step(
            tasks_of(game), tf.zeros([1, 1, 300], tf.int32), joint_action, tf.concat([uniforms, uniforms], axis=0)
        )
        self.assertCountEqual(np.bincount(state[0, 0])[3:5], [150, 150])
        self.assertAllEqual(rewards[0], np.zeros([1, 1, 300]))
        self.assertTrue(np.all(continues[0]))

    @parameterized.parameters(*MODES)
    def test_samples_are_episodes_of_openspiel(self, mode):
        """Each is played again by OpenSpiel's rules, with the same actions: same sights, rewards and ends."""
        name = "python_iterated_prisoners_dilemma(max_game_length=4,termination_probability=0.3)"
        game = mapg.OpenSpielGame(name)
        policies = [mapg.tabular_policy(game, agent) for agent in range(2)]
        keys = mapg.random.root_keys([0])
        joint_params = mapg.for_each_task(tuple(policy.initial_params([0]) for policy in policies), n_tasks=1)
        simulator = mapg.InGraphSimulator(game, policies, 50, 6)
        trajectory = MODES[mode](simulator.sample)(joint_params, tasks_of(game), keys)
        observations, actions, rewards, mask = (
            np.stack(field, axis=-1)[0, 0] for field in trajectory[:4]
        )
        lengths = mask[..., 0].sum(axis=-1)
        self.assertCountEqual(set(lengths), {1, 2, 3, 4})
        for k, length in enumerate(lengths):
            state = pyspiel.load_game(name).new_initial_state()
            for time in range(length):
                for agent in range(2):
                    text = game.information_states[agent][observations[k, time, agent]]
                    self.assertEqual(text, state.information_state_string(agent))
                before = np.array(state.returns())
                state.apply_actions(list(map(int, actions[k, time])))
                self.assertAllEqual(rewards[k, time], np.array(state.returns()) - before)
                is_last = time == length - 1
                # Of the outcomes 0 goes on and 1 ends it.
                state.apply_action(int(is_last and length < 4))
            self.assertTrue(state.is_terminal() or length == 4)

    def test_where_fewer_actions_are_legal_they_are_counted_around(self):
        name = "goofspiel(num_cards=3,imp_info=False,points_order=descending)"
        game = mapg.OpenSpielGame(name)
        strategies = [np.full([seen.n, 3], [0.0, 0.0, 1.0]) for seen in game.spec.observations]
        once = game.exact_values(tasks_of(game), tensors(strategies))
        for strategy, legal_actions in zip(strategies, game.legal_actions):
            for observation, legal in enumerate(legal_actions):
                if len(legal) == 2:
                    strategy[observation] = [1.0, 0.0, 0.0]
        self.assertAllEqual(once, game.exact_values(tasks_of(game), tensors(strategies)))

    def test_a_discount(self):
        game = mapg.OpenSpielGame("repeated_game(stage_game=matrix_pd(),num_repetitions=3)", discount=0.5)
        always = [np.eye(2)[np.full(seen.n, action)] for action, seen in enumerate(game.spec.observations)]
        values = game.exact_values(tasks_of(game), tensors(always))
        self.assertAllClose(values, [[[0.0]], [[17.5]]], rtol=0.0, atol=1e-12)

    @parameterized.parameters(
        ("kuhn_poker", "a game of simultaneous moves.*convert_to_turn_based goes the other way.*"),
        ("chess", "a game of simultaneous moves.*"),
        ("goofspiel", "of at most 2000 states; see max_states"),
        ("python_iterated_prisoners_dilemma", "of at most 2000 states; see max_states"),
        ("blotto(coins=60,fields=3)", "smaller, as it takes 3575881 table entries"),
        ("goofspiel(num_cards=3", r"a game that OpenSpiel can load: Missing closing bracket '\)'."),
        ("goofspiel(n_cards=3)", "a game that OpenSpiel can load: Unknown parameter 'n_cards'.*"),
        ("nfg_game", "a game that OpenSpiel can load: .*"),
        ("matrix_PD", r"a game that OpenSpiel has; see pyspiel.registered_names\(\)"),
    )
    def test_refusals(self, name, allowed):
        with self.assertRaises(checks.InvalidInputError) as caught:
            mapg.OpenSpielGame(name)
        self.assertRegex(str(caught.exception), rf"^OpenSpielGame.game = [^\n]*: must be {allowed}$")

    def test_a_limit_of_ones_own(self):
        self.assertEqual(mapg.OpenSpielGame("matrix_pd", max_states=1).n_states, 1)
        name = "goofspiel(num_cards=3,imp_info=True,points_order=descending)"
        self.assertEqual(mapg.OpenSpielGame(name, max_states=10).n_states, 10)
        with self.assertRaisesRegex(checks.InvalidInputError, "must be of at most 9 states; see max_states$"):
            mapg.OpenSpielGame(name, max_states=9)

    def test_without_openspiel_one_line_says_what_to_install(self):
        with mock.patch.dict(sys.modules, {"pyspiel": None}), self.assertRaises(checks.InvalidInputError) as caught:
            mapg.OpenSpielGame("matrix_pd")
        self.assertEqual(
            str(caught.exception), "pyspiel: must be installed, as by pip install 'tf_metamapg[openspiel]'"
        )


class OpenSpielPayoffsTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters(
        *(name for name in pyspiel.registered_names() if name.startswith("matrix_"))
    )
    def test_matrix_games(self, name):
        matrix = pyspiel.load_matrix_game(name)
        self.assertAllEqual(
            mapg.openspiel_payoffs(name), np.stack([matrix.row_utilities(), matrix.col_utilities()])
        )

    def test_a_tensor_game(self):
        tensor = pyspiel.load_tensor_game("matching_pennies_3p")
        table = mapg.openspiel_payoffs("matching_pennies_3p")
        self.assertEqual(table.shape, (3, 2, 2, 2))
        for joint_action in np.ndindex(2, 2, 2):
            expected = [tensor.player_utility(agent, joint_action) for agent in range(3)]
            self.assertAllEqual(table[(slice(None), *joint_action)], expected)

    def test_they_are_payoffs_of_matrix_games(self):
        table = mapg.openspiel_payoffs("matrix_rps")
        self.assertAllEqual(table, mapg.rock_paper_scissors())
        self.assertEqual(mapg.IteratedMatrixGame(table).n_states, 10)
        self.assertAllEqual(mapg.openspiel_payoffs("matrix_mp"), mapg.matching_pennies())

    @parameterized.parameters("goofspiel(num_cards=3)", "python_iterated_prisoners_dilemma", "oshi_zumo")
    def test_of_games_with_more_steps_there_are_none(self, name):
        with self.assertRaises(checks.InvalidInputError) as caught:
            mapg.openspiel_payoffs(name)
        self.assertEndsWith(
            str(caught.exception), ": must be a game of one step, such as 'matrix_pd'; see also OpenSpielGame"
        )


if __name__ == "__main__":
    tf.test.main()
