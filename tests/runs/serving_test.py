"""Proves that exported agents learn where they are served as they do in this package."""

import json
import os
import pathlib
import subprocess
import sys

from absl.testing import parameterized
import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import command_line
from tests.outsider import outsider_test
import tf_metamapg as mapg
from tf_metamapg import adaptation
from tf_metamapg.runs import serving
from tf_metamapg.training.settings import Problem

FIELDS = ("observations", "actions", "rewards", "mask")
MODEL = mapg.MaximumLikelihood(max_iterations=8)


def dilemma(dtype="float64"):
    return mapg.IteratedMatrixGame(mapg.payoffs.prisoners_dilemma(), discount=0.96, dtype=dtype)


def tabular(game):
    return [mapg.tabular_policy(game, agent) for agent in range(game.spec.n_agents)]


def lstm(game):
    return [mapg.lstm_policy(game, 0, units=3), *tabular(game)[1:]]


def perceptrons(game):
    return [mapg.mlp_policy(game, agent, hidden_units=(4,)) for agent in range(game.spec.n_agents)]


def images(game):
    """A convolution, which stands in the graph once for each seed and task."""
    def make_model(seed):
        glorot = keras.initializers.GlorotUniform(seed)
        return keras.Sequential([
            keras.Input(game.spec.observations[0].shape), keras.layers.Conv2D(2, 2, kernel_initializer=glorot),
            keras.layers.Flatten(), keras.layers.Dense(game.spec.actions[0].n, kernel_initializer=glorot),
        ])

    return [mapg.keras_policy(game, 0, make_model), *perceptrons(game)[1:]]


def cell(game):
    def make_cell(seed):
        return keras.layers.GRUCell(
            3, kernel_initializer=keras.initializers.GlorotUniform(seed), dtype=game.spec.dtype,
            recurrent_initializer=keras.initializers.Orthogonal(seed=seed),
        )

    return [mapg.keras_recurrent_policy(game, 0, make_cell), *tabular(game)[1:]]


def given_features(game):
    return [mapg.opponent_features_policy(game, 0), *tabular(game)[1:]]


# By name: the agent, its game, the policies, the estimator, and its critic.
CASES = {
    "naive": (mapg.PolicyGradient(entropy_bonus=0.1), dilemma, tabular, mapg.DiceEstimator, {}),
    "learned_rates": (mapg.MetaMAPG(mapg.LearnedRates()), dilemma, tabular, mapg.LoadedDiceEstimator, {}),
    "rates_per_parameter": (
        mapg.MetaPG(mapg.LearnedRatesPerParameter()), dilemma, tabular, mapg.ScoreFunctionEstimator, {},
    ),
    "adam": (mapg.MetaMAPG(0.1, mapg.Adam()), dilemma, perceptrons, mapg.LoadedDiceEstimator, {}),
    "lstm": (mapg.MetaMAPG(opponent_model=MODEL), dilemma, lstm, mapg.LoadedDiceEstimator, {}),
    "keras_cell": (mapg.MetaPG(), dilemma, cell, mapg.LoadedDiceEstimator, {}),
    "lola_a": (mapg.LOLAShaping(opponent_model=MODEL), dilemma, tabular, mapg.LoadedDiceEstimator, {}),
    "lola_b": (mapg.LOLATaylor(opponent_model=MODEL), dilemma, tabular, mapg.DiceEstimator, {}),
    "sos": (mapg.SOS(opponent_model=MODEL), dilemma, tabular, mapg.LoadedDiceEstimator, {}),
    "consensus": (mapg.ConsensusOptimization(opponent_model=MODEL), dilemma, tabular, mapg.LoadedDiceEstimator, {}),
    "competitive": (
        mapg.CompetitiveGradientDescent(opponent_model=MODEL), dilemma, tabular, mapg.LoadedDiceEstimator, {},
    ),
    "actor_critic": (
        mapg.AdvantageActorCritic(critic_units=3), dilemma, tabular, mapg.ScoreFunctionEstimator, {},
    ),
    "coma": (mapg.COMA(critic_units=3), dilemma, tabular, mapg.ScoreFunctionEstimator, {}),
    "recursive": (mapg.RecursiveReasoning(critic_units=3), dilemma, tabular, mapg.ScoreFunctionEstimator, {}),
    "counterfactual": (
        mapg.MetaMAPG(), dilemma, tabular, mapg.CounterfactualDiceEstimator, {"critic": mapg.CounterfactualBaseline},
    ),
    "ppo": (mapg.PPO(critic_units=3), dilemma, tabular, mapg.ScoreFunctionEstimator, {}),
    "alignment": (mapg.AdvantageAlignment(critic_units=3), dilemma, tabular, mapg.ScoreFunctionEstimator, {}),
    "loqa": (mapg.LOQA(critic_units=3), dilemma, tabular, mapg.ScoreFunctionEstimator, {}),
    "fixed": (mapg.Fixed(), dilemma, tabular, mapg.LoadedDiceEstimator, {}),
    "linear_features": (
        mapg.MetaMAPG(), dilemma, tabular, mapg.LoadedDiceEstimator,
        {"critic": mapg.LinearFeatureBaseline, "gae_lambda": 0.9},
    ),
    "value_network": (
        mapg.MetaMAPG(), dilemma, lstm, mapg.LoadedDiceEstimator, {"critic": mapg.ValueNetwork, "gae_lambda": 0.9},
    ),
    "opponent_features": (mapg.MetaPG(0.1), dilemma, given_features, mapg.ScoreFunctionEstimator, {}),
    # Games that end, the second with actions that are arrays.
    "cautious": (outsider_test.Cautious(0.5), outsider_test.Commons, perceptrons, mapg.LoadedDiceEstimator, {}),
    "navigation": (mapg.MetaMAPG(0.01), mapg.NavigationGame, perceptrons, mapg.LoadedDiceEstimator, {}),
    "convolution": (
        mapg.MetaMAPG(0.1), lambda: mapg.CoinGame(mapg.lola_rules()), images, mapg.LoadedDiceEstimator, {},
    ),
}


class Case:
    """An agent among naive ones, trajectories of two links of a chain, and the agent's own states there."""

    def __init__(self, name, n_trajectories=6, horizon=19, n_updates=3):
        self.agent, make_game, make_policies, make_estimator, keywords = CASES[name]
        self.game = make_game()
        self.policies = make_policies(self.game)
        n_agents = self.game.spec.n_agents
        # What is exported knows of other sizes, and plays nothing.
        self.exported, estimator = (
            make_estimator(self.game, self.policies, *sizes, **keywords)
            for sizes in ((2, 3), (n_trajectories, horizon))
        )
        self.critic_params = tf.nest.map_structure(lambda leaf: leaf[0], estimator.critic.initial_params([5]))
        agents = [self.agent, *[mapg.PolicyGradient(0.1)] * (n_agents - 1)]
        joint_params = tuple(policy.initial_params([4]) for policy in self.policies)
        self.params = tuple(leaf[0] for leaf in joint_params[0])
        self.tasks = mapg.DefaultTasks(self.game).sample(mapg.random.root_keys([0]), 1)
        # Other rates at each step.
        self.update_params = tf.nest.map_structure(
            lambda leaf: leaf * [[[[1.0]], [[0.3]]]] if len(leaf.shape) > 2 else leaf - [[0.0, 1.2]],
            adaptation.init_update_params(agents, estimator, 1, 2),
        )
        keys = [mapg.random.link_keys(mapg.random.root_keys([1]), link) for link in range(1 + n_updates)]
        # The third update is beyond those that there are rates for.
        states = adaptation.initial_states(agents, mapg.for_each_task(joint_params, 1), estimator)
        self.links = adaptation.extend(
            estimator, agents, self.update_params, self.tasks, states, keys,
            critic_params=tf.nest.map_structure(lambda leaf: leaf[tf.newaxis, tf.newaxis], self.critic_params),
        )

    def export(self, path):
        own = tf.nest.map_structure(lambda leaf: leaf[0], self.update_params[0])
        serving.export_learning_agent(
            path, self.agent, self.exported, 0, self.params, update_params=own, critic_params=self.critic_params
        )
        return tf.saved_model.load(path).signatures

    def given(self, link):
        """What `learn` takes of the trajectories of a link."""
        trajectory = self.links[link].sample.trajectory
        return {
            f"{field}_{agent}": value[0, 0].numpy()
            for field in FIELDS for agent, value in enumerate(getattr(trajectory, field))
        }

    def state(self, link):
        """The agent's own state at a link, as its signatures name it."""
        own = self.links[link].agent_states[0]
        return {"n_updates": np.int32(link)} | {
            f"{name}_{index}": leaf[0, 0] for name in ("params", "extra")
            for index, leaf in enumerate(tf.nest.flatten(getattr(own, name)))
        }


@pytest.mark.slow
class LearnTest(tf.test.TestCase, parameterized.TestCase):

    def path(self):
        return os.path.join(self.get_temp_dir(), "agent")

    @parameterized.parameters(*CASES)
    def test_it_learns_as_in_the_package(self, name):
        case = Case(name)
        signatures = case.export(self.path())
        state = signatures["initial_state"]()
        self.assertEqual(int(state["n_updates"]), 0)
        tolerance = 1e-9 if case.game.spec.dtype == "float64" else 1e-5
        for link in range(4):
            expected = case.state(link)
            self.assertCountEqual(state, expected)
            for key, leaf in state.items():
                self.assertEqual((leaf.dtype, leaf.shape), (expected[key].dtype, expected[key].shape), key)
                self.assertAllClose(leaf, expected[key], rtol=tolerance, atol=tolerance, msg=f"{key} at link {link}")
            if link < 3:
                state = signatures["learn"](**case.given(link), seed=[7, link], **state)
        if name != "fixed":
            self.assertNotAllClose(state["params_0"], case.params[0])

    @parameterized.parameters("adam", "linear_features", "value_network")
    def test_any_number_of_trajectories_and_steps(self, name):
        """One SavedModel for all."""
        learn = Case(name).export(self.path())["learn"]
        for n_trajectories, horizon in ((1, 19), (5, 1), (3, 40)):
            case = Case(name, n_trajectories, horizon, n_updates=1)
            learned = learn(**case.given(0), seed=[0, 0], **case.state(0))
            for key, expected in case.state(1).items():
                self.assertAllClose(learned[key], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
class AnswersTest(tf.test.TestCase, parameterized.TestCase):
    """What is answered to what cannot be, and what is not asked."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        directory = pathlib.Path(tf.compat.v1.test.get_temp_dir())
        cls.cases = {name: Case(name) for name in ("adam", "lstm", "cautious", "navigation")}
        cls.signatures = {name: case.export(str(directory / name)) for name, case in cls.cases.items()}

    def learn(self, name, **changed):
        case = self.cases[name]
        given = {**case.given(1), **case.state(1), "seed": [0, 1]}
        for key, change in changed.items():
            given[key] = np.array(given[key])
            change(given[key])
        return self.signatures[name]["learn"](**given)

    def assert_no_state(self, state):
        for key, leaf in state.items():
            self.assertTrue(np.all(leaf == -1 if key == "n_updates" else np.isnan(leaf)), key)

    def test_actions_have_the_policy_s_distribution(self):
        """Of 20,000 actions at each observation; no frequency is further off than 99.9% of chance, 3.3 deviations."""
        case = self.cases["adam"]
        observations = np.repeat(np.arange(5, dtype=np.int32), 20_000)
        actions = self.signatures["adam"]["act"](observations=observations, seed=[3, 4], **case.state(2))["actions"]
        self.assertEqual((actions.dtype, actions.shape), (np.int32, observations.shape))
        expected = case.policies[0].strategy(case.links[2].agent_states[0].params)[0, 0, :, 1].numpy()
        frequencies = np.reshape(actions, [5, -1]).mean(axis=1)
        self.assertAllLess(np.abs(frequencies - expected) / np.sqrt(expected * (1 - expected) / 20_000), 3.3)
        again, other = (
            self.signatures["adam"]["act"](observations=observations, seed=seed, **case.state(2))["actions"]
            for seed in ([3, 4], [3, 5])
        )
        self.assertAllEqual(again, actions)
        self.assertNotAllEqual(other, actions)

    def test_actions_that_are_arrays(self):
        case = self.cases["navigation"]
        observations = np.zeros([4000, *case.game.spec.observations[0].shape], np.float32)
        observations[0, 0] = np.nan
        act = self.signatures["navigation"]["act"]
        actions = act(observations=observations, seed=[3, 4], **case.state(0))["actions"]
        self.assertAllEqual(np.isnan(actions).all(axis=1), np.arange(4000) == 0)
        distribution = case.policies[0].distribution(
            case.links[0].agent_states[0].params, tf.zeros([1, 1, 1, 1, *observations.shape[1:]])
        )
        errors = (np.mean(actions[1:], axis=0) - distribution.mean()[0, 0, 0, 0]) / distribution.stddev()[0, 0, 0, 0]
        self.assertAllLess(np.abs(errors), 3.3 / np.sqrt(3999))

    def test_recurrent_state(self):
        """It goes on from step to step as in the package, and what cannot be seen leaves none."""
        case, signatures = self.cases["lstm"], self.signatures["lstm"]
        observations = np.array([[0, 0], [1, 4], [3, 9]], np.int32)
        recurrent = signatures["initial_recurrent_state"](batch_size=2)
        step = case.policies[0].sampler(case.links[1].agent_states[0].params)
        expected = case.policies[0].initial_state([1, 1, 2])
        for t, seen in enumerate(observations):
            self.assertCountEqual(recurrent, ["recurrent_0", "recurrent_1"])
            for index, leaf in enumerate(expected):
                self.assertAllClose(recurrent[f"recurrent_{index}"], leaf[0, 0], rtol=1e-12)
            result = signatures["act"](observations=seen, seed=[0, t], **recurrent, **case.state(1))
            recurrent = {key: leaf for key, leaf in result.items() if key != "actions"}
            possible = np.minimum(seen, 4)[np.newaxis, np.newaxis]
            _, expected = step(tf.constant(possible), expected, tf.zeros([1, 1, 1, 2], tf.float64))
        self.assertEqual(int(result["actions"][1]), -1)
        self.assertGreaterEqual(int(result["actions"][0]), 0)
        self.assertTrue(np.all(np.isnan(recurrent["recurrent_0"][1])))
        result = signatures["act"](observations=[1, 1], seed=[0, 3], **recurrent, **case.state(1))
        self.assertAllEqual(result["actions"] == -1, [False, True])

    @parameterized.parameters(
        ("adam", "observations_1", 5), ("adam", "observations_0", -1), ("adam", "actions_0", 2),
        ("adam", "actions_1", -1), ("adam", "rewards_1", np.nan), ("adam", "rewards_0", -np.inf),
        ("adam", "params_0", np.nan), ("adam", "extra_1", np.inf), ("navigation", "actions_0", np.nan),
        ("cautious", "observations_0", np.inf), ("cautious", "mask_0", False),
    )
    def test_of_what_cannot_be_it_learns_nothing(self, name, key, value):
        def change(array):
            array[(0,) * array.ndim] = value

        state = self.learn(name, **{key: change})
        self.assert_no_state(state)
        spec = self.cases[name].game.spec
        one = spec.observations[0].tensor_spec(spec.dtype)
        observations = np.zeros([3, *one.shape], one.dtype.name)
        actions = self.signatures[name]["act"](observations=observations, seed=[0, 0], **state)["actions"]
        self.assertTrue(np.all(actions == -1) if name != "navigation" else np.all(np.isnan(actions)))

    def test_nobody_comes_back(self):
        def change(mask):
            (trajectory, *_), _ = np.nonzero(~mask)
            mask[trajectory, -1] = True

        self.assert_no_state(self.learn("cautious", mask_1=change))

    def test_what_does_not_count_does_not_matter(self):
        case = self.cases["cautious"]
        given = case.given(1)
        self.assertFalse(np.all(given["mask_0"]))
        for field, garbage in (("observations", np.nan), ("actions", 99), ("rewards", np.inf)):
            for agent in range(case.game.spec.n_agents):
                given[f"{field}_{agent}"][~given[f"mask_{agent}"]] = garbage
        learned = self.signatures["cautious"]["learn"](**given, **case.state(1), seed=[0, 1])
        for key, expected in case.state(2).items():
            self.assertAllClose(learned[key], expected, rtol=1e-5, atol=1e-5)

    def test_sizes_that_differ(self):
        given = {**self.cases["adam"].given(0), **self.cases["adam"].state(0), "seed": [0, 1]}
        for key, values in (("actions_1", given["actions_1"][:1]), ("rewards_1", given["rewards_1"][:, :-1])):
            with self.assertRaisesRegex(tf.errors.InvalidArgumentError, f"{key} must have the axes"):
                self.signatures["adam"]["learn"](**{**given, key: values})


class RefusalsTest(tf.test.TestCase, parameterized.TestCase):

    def refusal(self, agent, estimator=mapg.LoadedDiceEstimator):
        game = dilemma()
        policies = tabular(game)
        problem = Problem(
            game=game, policies=policies, agents=[mapg.PolicyGradient(), agent], estimator=estimator(game, policies),
            task_distribution=mapg.DefaultTasks(game),
        )
        with self.assertRaises(mapg.InvalidInputError) as caught:
            serving.check_agents(problem)
        self.assertNotIn("\n", str(caught.exception))
        return str(caught.exception)

    @parameterized.parameters(mapg.LOLAShaping, mapg.LOLATaylor, mapg.LookAhead, mapg.SOS)
    def test_who_reads_the_others(self, kind):
        self.assertRegex(
            self.refusal(kind()),
            rf"^agents\[1\] = {kind.__name__}.*: must be one that does not read the others' parameters, as with "
            r"opponent_model=MaximumLikelihood\(\), to go on learning where it is served \(export_learning\)$",
        )

    def test_who_plays(self):
        self.assertRegex(
            self.refusal(mapg.LOLADiCE(opponent_model=MODEL)),
            r"^agents\[1\] = LOLADiCE.*: must be an agent whose update plays no game, to go on learning where it is "
            r"served \(export_learning\)$",
        )

    def test_what_is_remembered_of_each_trajectory(self):
        game = dilemma()
        policies = [mapg.carried_state_policy(game, 0, 2), *tabular(game)[1:]]
        estimator = mapg.ScoreFunctionEstimator(game, policies, 2, 3)
        with self.assertRaises(mapg.InvalidInputError) as caught:
            serving.export_learning_agent(
                os.path.join(self.get_temp_dir(), "agent"), mapg.COALAPG(), estimator, 0, policies[0].reference_params
            )
        self.assertRegex(
            str(caught.exception),
            r"^carried_state_policy.n_trajectories = 2: must be as many as are sampled at each link, which must be "
            "known: such agents do not go on learning as they serve$",
        )

    def test_exact_values(self):
        self.assertRegex(
            self.refusal(mapg.PolicyGradient(), mapg.ExactEstimator),
            r"^estimator = ExactEstimator.*: must be one from trajectories, such as LoadedDiceEstimator, for agents to "
            "go on learning where they are served; ",
        )

    def test_parts_that_want_to_know_sizes(self):
        self.assertRegex(
            self.refusal(
                mapg.PolicyGradient(),
                lambda game, policies: mapg.LoadedDiceEstimator(game, policies, critic=outsider_test.Hopeful),
            ),
            r"^agents\[0\] = PolicyGradient.*: must be one that can be exported with its estimator, its critic and the "
            r"policies \(.+\)$",
        )

    def test_params_of_another_policy(self):
        case = Case("naive")
        with self.assertRaisesRegex(mapg.InvalidInputError, r"^params\[0\] = .*: must be float64 \[5, 1\]"):
            serving.export_learning_agent("nowhere", case.agent, case.exported, 0, (tf.zeros([4, 1], tf.float64),))

    def test_before_a_run_begins(self):
        run_dir = pathlib.Path(self.get_temp_dir()) / "refused"
        outcome = command_line.run(
            f"--gin_file={command_line.GIN_CONFIGS / 'ipd_lola.gin'}", f"--run_dir={run_dir}",
            *command_line.gin_params(*command_line.TINY, "train.export_learning = True"),
        )
        self.assertEqual(outcome.status, 2)
        self.assertEqual(
            outcome.stderr, "error: agents[0] = LOLADiCE: must be an agent whose update plays no game, to go on "
            "learning where it is served (export_learning)\n"
        )
        self.assertFalse((run_dir / "config.gin").exists())


@pytest.mark.slow
class RunTest(tf.test.TestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_dir = pathlib.Path(tf.compat.v1.test.get_temp_dir()) / "run"
        cls.outcome = command_line.run(
            f"--gin_file={command_line.GIN_CONFIGS / 'ipd.gin'}", f"--run_dir={cls.run_dir}",
            *command_line.gin_params(
                "train.n_seeds = 2", "train.n_meta_updates = 30", "train.n_inner_updates = 1",
                "train.n_evaluation_tasks = 1000", "train.export_learning = True", "train.export_all_seeds = True",
            ),
        )

    def test_it_leaves_its_agents(self):
        self.assertEqual((self.outcome.status, self.outcome.stderr), (0, ""))
        agents = self.run_dir / "learning_agents"
        self.assertCountEqual(os.listdir(agents), ["agent_0", "agent_1", "seed_0", "seed_1"])
        for seed in range(2):
            self.assertCountEqual(os.listdir(agents / f"seed_{seed}"), ["agent_0", "agent_1"])
            for agent in range(2):
                path = f"seed_{seed}/agent_{agent}"
                state = tf.saved_model.load(str(agents / path)).signatures["initial_state"]()
                self.assertAllEqual(
                    state["params_0"], np.load(self.run_dir / "initial_policies" / f"{path}.npz")["table"]
                )

    def test_who_does_not_know_this_package_gets_what_the_summary_says(self):
        """Before and after one update, for each agent: within intervals of 99.9% over the tasks that are played.

        Agents of other kinds learn there what they learn here.
        """
        summary = json.loads((self.run_dir / "summary.json").read_text("utf-8"))
        directory = self.run_dir / "learning_agents"
        n_tasks, n_evaluation_tasks = 40, 1000
        sizes = {"n_tasks": n_tasks, "n_trajectories": 64, "horizon": 50, "width": 0.1, "seed": 7}
        (directory / "game.json").write_text(json.dumps(sizes), "utf-8")
        others = {name: Case(name, n_updates=2) for name in ("adam", "lstm", "lola_a", "ppo", "cautious")}
        for name, case in others.items():
            case.export(str(directory / name))
            np.savez(directory / f"{name}.given.npz", **case.given(1), **case.state(1), seed=np.zeros(2, np.int32))
        process = subprocess.run(
            [sys.executable, pathlib.Path(__file__).with_name("served_strangers.py"), directory], cwd=directory,
            env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
            capture_output=True, text=True, check=False,
        )
        self.assertEqual(process.returncode, 0, process.stderr[-2000:])
        served = np.load(directory / "mean_rewards.npy")
        self.assertEqual(served.shape, (n_tasks, 2, 2))
        seed = summary["seeds"].index(summary["exported_seed"])
        expected = np.array(summary["meta_test"]["average_reward"])[seed]
        # The summary's own mean is one over tasks, too.
        deviations = served.std(axis=0, ddof=1) * np.sqrt(1 / n_tasks + 1 / n_evaluation_tasks)
        quantile = 3.56  # of Student's t distribution with 39 degrees of freedom, 99.95%
        self.assertAllLess(np.abs(served.mean(axis=0) - expected) / deviations, quantile)
        # What they have learned is many times as much.
        self.assertAllGreater((expected[1] - expected[0]) / deviations[0], 3 * quantile)
        for name, case in others.items():
            with np.load(directory / f"{name}.learned.npz") as learned:
                self.assertCountEqual(learned, case.state(2))
                for key, leaf in case.state(2).items():
                    self.assertAllClose(learned[key], leaf, rtol=1e-5, atol=1e-5, msg=f"{name}: {key}")


if __name__ == "__main__":
    tf.test.main()
