"""Proves that environments are played as they would be one by one, and as games of the package are in the graph.

All environments are real ones of PettingZoo.
"""

import copy
import dataclasses
import functools
import gc
import os
import signal
import subprocess
import sys
import threading
import time

from absl.testing import parameterized
from gymnasium import spaces
import numpy as np
from pettingzoo.test.example_envs import generated_agents_parallel_v0
from pettingzoo.utils import aec_to_parallel
from pettingzoo.utils import parallel_to_aec
import pytest
import tensorflow as tf

from tests import tiny_game
from tests.simulators.host_envs import Leaving
from tests.simulators.host_envs import Plain
import tf_metamapg as mapg
from tf_metamapg.numerics import random

pytestmark = pytest.mark.slow

MAMUJOCO = mapg.pettingzoo_env(
    "gymnasium_robotics.mamujoco_v1.parallel_env", {"scenario": "HalfCheetah", "agent_conf": "2x3"}
)


def simulator(make_env, n_trajectories, horizon, policy=mapg.mlp_policy, dtype="float64", **arguments):
    game = mapg.ParallelEnvGame(make_env, dtype=dtype)
    policies = [policy(game, agent) for agent in range(game.spec.n_agents)]
    return mapg.HostSimulator(game, policies, n_trajectories, horizon, **arguments)


def params_of(policies, n_seeds=1, n_tasks=1):
    return mapg.for_each_task(tuple(policy.initial_params(range(n_seeds)) for policy in policies), n_tasks)


def sample(own, n_seeds=1, n_tasks=1, key=0):
    keys = random.fold_in(random.root_keys(range(n_seeds)), key)
    return own.sample(params_of(own.policies, n_seeds, n_tasks), (), keys)


def assert_same(one, two):
    tf.nest.map_structure(np.testing.assert_array_equal, one, two)


def game_uniforms(game, horizon, seeds):
    """The numbers that environments of a game draw from seeds [S, N, K], as the simulator in the graph takes them."""
    drawn = []
    for seed in seeds.numpy().ravel():
        generator = np.random.default_rng(seed)
        reset = generator.random([game.n_reset_uniforms], game.spec.dtype)
        drawn.append((reset, [generator.random([game.n_step_uniforms], game.spec.dtype) for _ in range(horizon)]))
    reset, steps = (np.moveaxis(np.array(numbers), 0, -1) for numbers in zip(*drawn))
    return [tf.constant(numbers.reshape([*numbers.shape[:-1], *seeds.shape])) for numbers in (reset, steps)]


class AgreementTest(tf.test.TestCase, parameterized.TestCase):
    """One game played both ways, step for step."""

    def both(self, game, policies, joint_params, n_trajectories=4, horizon=6):
        env = mapg.to_parallel_env(game, horizon=horizon)
        spec = game.spec
        env_game = mapg.ParallelEnvGame(lambda: copy.copy(env), spec.discount, spec.dtype, spec.name)
        host = mapg.HostSimulator(env_game, policies, n_trajectories, horizon)
        in_graph = mapg.InGraphSimulator(game, policies, n_trajectories, horizon)
        n_seeds, n_tasks = joint_params[0][0].shape[:2]
        keys = random.root_keys(range(n_seeds))
        uniforms, seeds = host.draw_uniforms(keys, n_tasks), host.draw_seeds(keys, n_tasks)
        reset, steps = game_uniforms(game, horizon, seeds)
        played = host.sample(joint_params, (), keys)
        own = in_graph.draw_uniforms(keys, n_tasks)
        all_uniforms = own._replace(steps=tf.concat([uniforms, steps], axis=1), reset=reset)
        tasks = mapg.DefaultTasks(game).sample(keys, n_tasks)
        return played, in_graph.play(joint_params, tasks, all_uniforms), in_graph.sample(joint_params, tasks, keys)

    @parameterized.parameters(("together", 2), ("together", 3), ("apart", 2), ("apart", 3))
    def test_of_games_that_end(self, ending, n_agents):
        tiny = tiny_game.TinyGame(n_agents, 1, 0.9, ending)
        joint_params = tiny.joint_params(list(map(tf.constant, tiny.logits)), [2, 3])
        played, expected, _ = self.both(tiny.game, tiny.policies, joint_params, 10)
        assert_same(played, expected._replace(metrics=()))
        self.assertBetween(np.mean(played.mask), 0.2, 0.8)

    @parameterized.parameters(mapg.tabular_policy, mapg.lstm_policy)
    def test_the_same_keys_are_the_same_where_the_game_draws_nothing(self, policy):
        game = mapg.IteratedMatrixGame(mapg.prisoners_dilemma(), dtype="float64")
        policies = [policy(game, agent) for agent in range(2)]
        played, _, expected = self.both(game, policies, params_of(policies, 2, 3))
        assert_same(played._replace(mask=()), expected)
        self.assertTrue(np.all(played.mask))

    def test_of_vectors(self):
        controls = [np.ones([2, 1]), np.eye(2)]
        game = mapg.LinearQuadraticGame(
            0.5 * np.eye(2), controls, np.stack([np.eye(2)] * 2), [1.0, 2.0], noise=0.1, dtype="float64"
        )
        policies = [mapg.mlp_policy(game, agent) for agent in range(2)]
        played, expected, _ = self.both(game, policies, params_of(policies, 2, 2))
        self.assertAllClose(played._replace(mask=()), expected, rtol=1e-12, atol=1e-12)

    def test_what_is_truncated_ends_as_what_is_terminated(self):
        game = mapg.IteratedMatrixGame(mapg.prisoners_dilemma())
        env = mapg.to_parallel_env(game, horizon=3)
        trajectory = sample(simulator(lambda: env, 1, 5, mapg.tabular_policy, "float32"))
        for agent in range(2):
            self.assertAllEqual(trajectory.mask[agent][0, 0, 0], [True] * 3 + [False] * 2)
            self.assertAllEqual(trajectory.rewards[agent][0, 0, 0, 3:], [0.0, 0.0])
            self.assertAllLess(trajectory.rewards[agent][0, 0, 0, :3] - 0.5, 0.0)


class EnvironmentsTest(tf.test.TestCase, parameterized.TestCase):
    """An environment whose agents have spaces of all kinds, and leave at different times."""

    def test_specs(self):
        spec = mapg.ParallelEnvGame(Leaving, 0.9, "float64").spec
        self.assertEqual(spec, mapg.GameSpec(
            name="leaving", discount=0.9, dtype="float64", ends=True,
            observations=(mapg.Box((2, 1)), mapg.Discrete(6), mapg.Discrete(4)),
            actions=(mapg.Discrete(3), mapg.Box((2,)), mapg.Discrete(6)),
        ))
        self.assertEqual(mapg.ParallelEnvGame(Leaving, name="other", discount=1).spec.name, "other")

    def test_every_episode_is_what_its_seed_and_actions_make(self):
        """Against a plain loop over one environment at a time."""
        host, shape = simulator(Leaving, 5, 8, mapg.gru_policy), (2, 3, 5)
        trajectory = tf.nest.map_structure(np.array, sample(host, *shape[:2]))
        seeds = host.draw_seeds(random.fold_in(random.root_keys(range(2)), 0), 3).numpy()
        self.assertLen(np.unique(seeds), 30)
        env = Leaving()
        bounds = np.array([0.5, 0.25])
        for place in np.ndindex(shape):
            seen, _ = env.reset(seed=int(seeds[place]))
            for step in range(8):
                here = [agent in env.agents for agent in env.possible_agents]
                self.assertEqual([bool(mask[place][step]) for mask in trajectory.mask], here)
                first, second, third = (actions[place][step] for actions in trajectory.actions)
                for index, agent in enumerate(env.possible_agents):
                    own_seen = trajectory.observations[index][place][step]
                    if here[index]:
                        expected = seen[agent]
                        if agent == "second":
                            expected = 3 * expected[0] + expected[1]
                        self.assertAllEqual(own_seen, expected + (agent == "third"))
                    else:
                        for field in (own_seen, (first, second, third)[index], trajectory.rewards[index][place][step]):
                            self.assertAllEqual(field, np.zeros_like(field))
                if not env.agents:
                    continue
                actions = {
                    "first": 1 + first, "second": np.clip(second, -0.5, bounds).astype(np.float32),
                    "third": np.array([third // 3, 5 + third % 3]),
                }
                actions = {agent: actions[agent] for agent in env.agents}
                seen, rewards, *_ = env.step(actions)
                for agent, reward in rewards.items():
                    index = env.possible_agents.index(agent)
                    self.assertEqual(trajectory.rewards[index][place][step], reward)
        # Actions are recorded as they were sampled.
        self.assertGreater(np.max(trajectory.actions[1]), 0.5)

    @parameterized.parameters(1, 2)
    def test_what_comes_after_the_end_changes_nothing(self, n_workers):
        trap = functools.partial(Leaving, trap=True)
        trajectory = sample(simulator(trap, 5, 8, n_workers=n_workers), 1, 2)
        assert_same(trajectory, sample(simulator(Leaving, 5, 8), 1, 2))
        for leaf in tf.nest.flatten(trajectory):
            self.assertTrue(np.all(np.isfinite(leaf)))
        estimator = mapg.LoadedDiceEstimator
        results = []
        for make_env in (Leaving, trap):
            host = simulator(make_env, 5, 8)
            game = mapg.ParallelEnvGame(make_env, dtype="float64")
            own = estimator(game, host.policies, 5, 8, simulator=mapg.HostSimulator)
            params, keys = params_of(host.policies), random.root_keys([0])
            link = mapg.sample_link(own, tuple(map(mapg.AgentState, params)), (), keys)
            gradients = [mapg.Objectives(own, (), link).gradients(agent, agent) for agent in range(3)]
            results.append([gradients, own.mean_rewards(params, (), link.sample)])
        assert_same(*results)

    def test_seeds_do_not_mix_and_episodes_repeat(self):
        host = simulator(Leaving, 3, 6)
        together = sample(host, 2, 2)
        other = sample(host, 2, 2, key=1)
        self.assertNotAllEqual(together.rewards[0], other.rewards[0])
        assert_same(sample(host, 2, 2), together)
        alone = sample(simulator(Leaving, 3, 6), 1, 2)
        first = tf.nest.map_structure(lambda leaf: leaf[:1], together)
        assert_same([alone.mask, alone.actions[0]], [first.mask, first.actions[0]])
        self.assertAllClose(alone, first, rtol=1e-12, atol=1e-12)

    def test_policies_that_are_nan_do_no_harm(self):
        host = simulator(Leaving, 2, 4)
        params = tf.nest.map_structure(lambda leaf: leaf * np.nan, params_of(host.policies))
        trajectory = host.sample(params, (), random.root_keys([0]))
        self.assertTrue(np.all(np.isfinite(trajectory.rewards)))

    def test_it_is_called_eagerly(self):
        host = simulator(Leaving, 2, 4)
        params = params_of(host.policies)
        with self.assertRaisesRegex(mapg.InvalidInputError, "^HostSimulator.sample = .*: must be called outside of"):
            tf.function(lambda: host.sample(params, (), random.root_keys([0])), autograph=False)()


class MaMuJoCoTest(tf.test.TestCase):

    def test_two_agents_move_a_cheetah(self):
        host = simulator(MAMUJOCO, 3, 5, dtype="float32")
        self.assertEqual(host.spec.observations, (mapg.Box((12,)),) * 2)
        self.assertEqual(host.spec.actions, (mapg.Box((3,)),) * 2)
        trajectory = sample(host, 1, 2)
        self.assertTrue(np.all(trajectory.mask))
        self.assertAllEqual(*trajectory.rewards)
        self.assertNotAllEqual(*trajectory.observations)
        assert_same(sample(host, 1, 2), trajectory)
        assert_same(sample(simulator(MAMUJOCO, 3, 5, dtype="float32", n_workers=2), 1, 2), trajectory)
        env = MAMUJOCO()
        seed = host.draw_seeds(random.fold_in(random.root_keys([0]), 0), 2)[0, 1, 2]
        seen, _ = env.reset(seed=int(seed))
        for step in range(5):
            actions = {}
            for agent, name in enumerate(env.possible_agents):
                self.assertAllEqual(trajectory.observations[agent][0, 1, 2, step], seen[name].astype(np.float32))
                actions[name] = np.clip(trajectory.actions[agent][0, 1, 2, step], -1.0, 1.0)
            seen, rewards, *_ = env.step(actions)
            self.assertEqual(trajectory.rewards[0][0, 1, 2, step], np.float32(rewards["agent_0"]))


class WorkersTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.parameters((2, 5), (3, 2), (4, 3))
    def test_numbers_do_not_depend_on_workers(self, n_workers, n_trajectories):
        host = simulator(Leaving, n_trajectories, 8, n_workers=n_workers)
        for n_tasks in (1, 2):
            assert_same(sample(host, 1, n_tasks), sample(simulator(Leaving, n_trajectories, 8), 1, n_tasks))

    def test_processes_end_with_the_simulator(self):
        host = simulator(Leaving, 2, 2, n_workers=2)
        sample(host)
        processes = children()
        self.assertGreaterEqual(len(processes), 2)
        del host
        gc.collect()
        self.assertLessEqual(len(children()), len(processes) - 2)

    def test_what_goes_wrong_in_a_worker_is_said_here(self):
        host = simulator(functools.partial(Plain, error="two and two"), 2, 2, n_workers=2)
        with self.assertRaisesRegex(RuntimeError, r"in a worker process of the environments:\n(.*\n)*.*two and two"):
            sample(host)
        host = simulator(functools.partial(Plain, dies=True), 2, 2, n_workers=2)
        with self.assertRaisesRegex(RuntimeError, "^a worker process of the environments has ended$"):
            sample(host)
        host = simulator(functools.partial(Plain, later=("only", "new")), 2, 2, n_workers=2)
        with self.assertRaisesRegex(mapg.InvalidInputError, r"^ParallelEnvGame.make_env = .* joins .* \['new'\]$"):
            sample(host)

    @pytest.mark.slow
    def test_processes_end_with_their_parent(self):
        code = (
            "import sys, time; from tests.simulators import host_test; from tests.simulators.host_envs import Leaving\n"
            "host = host_test.simulator(Leaving, 2, 2, n_workers=2); host_test.sample(host)\n"
            "print(*host_test.children(), flush=True); time.sleep(600)"
        )
        for number in (signal.SIGKILL, signal.SIGINT):
            parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            processes = list(map(int, parent.stdout.readline().split()))
            self.assertLen(processes, 2)
            parent.send_signal(number)
            parent.wait()
            parent.stdout.close()
            deadline = time.monotonic() + 30.0
            while any(map(is_alive, processes)) and time.monotonic() < deadline:
                time.sleep(0.01)
            self.assertFalse(any(map(is_alive, processes)))


def children():
    """The processes that this one has started and not waited for yet."""
    with open(f"/proc/{os.getpid()}/task/{os.getpid()}/children", encoding="utf-8") as file:
        return list(map(int, file.read().split()))


def is_alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


class RefusalsTest(tf.test.TestCase, parameterized.TestCase):

    def test_metrics_that_environments_do_not_have(self):
        game = mapg.ParallelEnvGame(Leaving)
        game.spec = dataclasses.replace(game.spec, metrics=("height",))
        policies = [mapg.mlp_policy(game, agent) for agent in range(3)]
        with self.assertRaisesRegex(mapg.InvalidInputError, "^HostSimulator.game = .*: must be one whose spec names"):
            mapg.HostSimulator(game, policies)

    @parameterized.named_parameters(
        ("turn_based", lambda: parallel_to_aec(Leaving()), "this is turn-based, and .*aec_to_parallel makes .*"),
        ("nothing", lambda: None, "a pettingzoo.ParallelEnv; this is NoneType"),
        ("agents_as_they_come", generated_agents_parallel_v0.parallel_env, "says at once who plays, in .*"),
        ("dict", lambda: Plain(seen=spaces.Dict(a=spaces.Discrete(2))), "what an agent sees .* Box; here it is Dict.*"),
        ("text", lambda: Plain(done=spaces.Text(5)), "what an agent does is .* floating numbers; here it is Text.*"),
        ("box_of_integers", lambda: Plain(done=spaces.Box(0, 5, (2,), np.int64)), "what an agent does is .*int64.*"),
        ("too_many_combinations", lambda: Plain(seen=spaces.MultiDiscrete([2**16] * 2)), "what an agent sees .*"),
        ("empty_box", lambda: Plain(seen=spaces.Box(0, 1, (0,))), "what an agent sees .*"),
    )
    def test_what_cannot_be_played(self, make_env, allowed):
        begins = "^ParallelEnvGame.make_env = [^\n]*: must be a function that makes "
        with self.assertRaisesRegex(mapg.InvalidInputError, f"{begins}[^\n]*{allowed}$"):
            mapg.ParallelEnvGame(make_env)

    @parameterized.parameters(
        (functools.partial(Plain, at_start=()), r"all of possible_agents are in from the start; here \[\]"),
        (functools.partial(Plain, at_start=["only", "new"]), r"from the start; here \['only', 'new'\]"),
        (functools.partial(Plain, later=["only", "new", "next"]), r"no agent joins or .*; here \['new', 'next'\]"),
    )
    def test_what_turns_out_not_to_be_playable(self, make_env, allowed):
        host = simulator(make_env, 2, 3)
        with self.assertRaisesRegex(mapg.InvalidInputError, f"^ParallelEnvGame.make_env = .*: must be .*{allowed}$"):
            sample(host)

    def test_environments_that_differ(self):
        sizes = iter([2, 2, 3])
        host = simulator(lambda: Plain(seen=spaces.Discrete(next(sizes))), 2, 2)
        with self.assertRaisesRegex(mapg.InvalidInputError, "the same spaces each time that it is made$"):
            sample(host)

    def test_converters_help(self):
        """What is turn-based plays once it is converted, as its refusal says."""
        make_env = functools.partial(aec_to_parallel, parallel_to_aec(Leaving()))
        assert_same(sample(simulator(make_env, 1, 8)), sample(simulator(Leaving, 1, 8)))

    @parameterized.parameters(
        (lambda: Leaving(),), (functools.partial(Leaving, trap=threading.Lock()),),
        (functools.wraps(Leaving)(lambda: Leaving()),),
    )
    def test_workers_find_what_they_make(self, make_env):
        with self.assertRaisesRegex(
            mapg.InvalidInputError, "^ParallelEnvGame.make_env = .*: must be a function of a module that worker proc"
        ):
            simulator(make_env, 2, 2, n_workers=2)

    def test_other_games_and_agents(self):
        game = mapg.IteratedMatrixGame(mapg.prisoners_dilemma())
        policies = [mapg.tabular_policy(game, agent) for agent in range(2)]
        allowed = "^HostSimulator.game = .*lacks make_environments; see .*HostGame"
        with self.assertRaisesRegex(mapg.InvalidInputError, allowed):
            mapg.HostSimulator(game, policies)
        message = "^InGraphSimulator.game = .*: must be a game that is .*; HostSimulator plays environments; this lacks"
        with self.assertRaisesRegex(mapg.InvalidInputError, message):
            mapg.InGraphSimulator(mapg.ParallelEnvGame(Leaving), policies)


if __name__ == "__main__":
    tf.test.main()
