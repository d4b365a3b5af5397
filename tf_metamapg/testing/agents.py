"""What every agent must keep: updates that are differentiated right, through whatever its state holds."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import contracts
from tf_metamapg import links
from tf_metamapg.agents.meta_mapg import MetaMAPG
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.games.stochastic import StochasticGame
from tf_metamapg.numerics import random
from tf_metamapg.policies.tabular import TabularPolicy
from tf_metamapg.testing.modes import counted
from tf_metamapg.testing.modes import differences_of_seeds
from tf_metamapg.testing.modes import flat
from tf_metamapg.testing.modes import MODES
from tf_metamapg.testing.modes import relative_differences_of_seeds
from tf_metamapg.testing.tiny_games import TinyGame
from tf_metamapg.theorem import last_link

N_TASKS = 2
# Of a chain of any length: one to sample, and one to update.
N_TRACES = 2


class AgentTests:
    """Tests of an agent, among naive ones; mix them into a `tf.test.TestCase`."""

    # Of a meta-agent whose meta-gradient has all terms: the weights w_0, w_1, w_2 of its meta-value over two updates.
    meta_value_weights: Sequence[float] | None = None

    def make_agent(self) -> contracts.Agent:
        """The agent under test."""
        raise NotImplementedError

    def make_estimator(self, game: StochasticGame, policies: Sequence[TabularPolicy]) -> contracts.Estimator:
        """An estimator that the agent can learn with; exact values by default."""
        return ExactEstimator(game, policies)

    def _setting(self, *others):
        """(a tiny game, its estimator, the agents, parameters [1, N, ...], tasks): the agent under test is the last."""
        tiny = TinyGame(2, ends=True)
        estimator = self.make_estimator(tiny.game, tiny.policies)
        agents = (*(others or (PolicyGradient(0.3),)), self.make_agent())
        rng = np.random.default_rng(0)
        joint_params = tf.nest.map_structure(
            lambda leaf: leaf + 0.3 * rng.normal(size=[1, N_TASKS, *leaf.shape[2:]]), tiny.joint_params
        )
        return estimator, agents, joint_params, tf.repeat(tiny.tasks, N_TASKS, axis=1)

    def _chain(self, setting, chain_length, compile_fn=adaptation.identity):
        *_, joint_params, _ = setting
        root_keys = random.root_keys([3] * joint_params[0][0].shape[0])
        keys = [random.link_keys(root_keys, link) for link in range(chain_length + 1)]
        return adaptation.adapt(*setting, keys, compile_fn=compile_fn)

    def test_it_is_an_agent(self):
        self.assertIsInstance(self.make_agent(), contracts.Agent)

    def test_its_state_keeps_its_structure(self):
        for chain_length in (0, 1, 3):
            chain = self._chain(self._setting(), chain_length)
            first = chain.links[0].agent_states[-1]
            self.assertIsInstance(first, contracts.AgentState)
            for name, leaf in _named_leaves(first):
                self.assertTrue(leaf.dtype.is_floating, f"init: {name} must be of floating numbers")
                self.assertEqual(leaf.shape[:2], (1, N_TASKS), f"init: {name} must have leading axes [S, N]")
            for link in chain.links:
                state = link.agent_states[-1]
                tf.nest.assert_same_structure(first, state)
                for (name, one), (_, other) in zip(_named_leaves(first), _named_leaves(state)):
                    what = f"update: shape and dtype of {name} must stay as init made them"
                    self.assertEqual((other.shape, other.dtype), (one.shape, one.dtype), what)

    def test_modes_agree(self):
        expected = None
        for mode, compile_fn in MODES.items():
            traces = []
            chain = self._chain(
                self._setting(), 2, lambda function, run=compile_fn, calls=traces: run(counted(function, calls))
            )
            states = flat([link.agent_states for link in chain.links])
            if mode != "eager":
                self.assertEqual(len(traces), N_TRACES)
            self.assertTrue(np.all(np.isfinite(states)))
            expected = states if expected is None else expected
            what = f"states after two updates, in mode '{mode}' and in mode 'eager'"
            np.testing.assert_allclose(states, expected, rtol=1e-7, atol=1e-9, err_msg=what)

    def test_seeds_and_tasks_do_not_mix(self):
        """What one task of one seed learns does not depend on those beside it."""
        estimator, agents, joint_params, tasks = self._setting()
        rng = np.random.default_rng(1)
        joint_params, tasks = tf.nest.map_structure(lambda leaf: tf.repeat(leaf, 2, axis=0), (joint_params, tasks))
        # Some of them have steeper gradients than others, which a norm over all would tell.
        joint_params = tf.nest.map_structure(lambda leaf: leaf + rng.normal(size=leaf.shape), joint_params)
        keys = [random.link_keys(random.root_keys([3, 4]), link) for link in range(3)]
        whole = adaptation.adapt(estimator, agents, joint_params, tasks, keys).links
        if not isinstance(estimator, ExactEstimator):
            # What is sampled differs with the number of tasks, so that only seeds can be told apart.
            own = tf.nest.map_structure(lambda leaf: leaf[1:], (joint_params, tasks, keys))
            expected = tf.nest.map_structure(lambda leaf: leaf[1:], whole[-1].agent_states[-1])
        else:
            own = tf.nest.map_structure(lambda leaf: leaf[1:, 1:], (joint_params, tasks))
            own = (*own, [link_keys[1:] for link_keys in keys])
            expected = tf.nest.map_structure(lambda leaf: leaf[1:, 1:], whole[-1].agent_states[-1])
        alone = adaptation.adapt(estimator, agents, *own).links[-1].agent_states[-1]
        for (name, leaf), (_, expected_leaf) in zip(_named_leaves(alone), _named_leaves(expected)):
            np.testing.assert_allclose(
                leaf, expected_leaf, rtol=1e-9, atol=1e-12,
                err_msg=f"update: {name} depends on other seeds or tasks; reduce over axes behind [S, N] alone",
            )

    def test_its_update_is_differentiated_right(self):
        """In the states of all agents, moments included, against finite differences at fixed samples."""
        setting = estimator, agents, _, tasks = self._setting()
        chain = self._chain(setting, 1)
        link = chain.links[1]  # whose moments are not zero any more
        step_params = tuple(adaptation.at_step(params, 0) for params in chain.update_params)
        leaves = tf.nest.flatten(link.agent_states)

        def side_by_side(*values):
            """What `_updated` takes, with each point [P, ...] of the states as a seed, at the same samples."""
            own_link, own_tasks, own_step_params = tf.nest.map_structure(
                lambda leaf: tf.repeat(leaf, values[0].shape[0], axis=0), (link, tasks, step_params)
            )
            own_link = own_link._replace(agent_states=tf.nest.pack_sequence_as(link.agent_states, values))
            return estimator, own_tasks, own_link, agents, own_step_params

        def updated(*values):
            values = [tf.constant(value, leaf.dtype) for value, leaf in zip(values, leaves)]
            return self._updated(*side_by_side(*values)).numpy()

        # Every row of the Jacobian has a copy of the state of its own.
        n_rows = len(flat(link.agent_states[-1]))
        copies = [tf.repeat(leaf, n_rows, axis=0) for leaf in leaves]
        with tf.GradientTape() as tape:
            tape.watch(copies)
            rows = tf.linalg.diag_part(self._updated(*side_by_side(*copies)))
        jacobian = np.concatenate(
            [
                np.reshape(gradient, [n_rows, -1])
                for gradient in tape.gradient(rows, copies, unconnected_gradients="zero")
            ], axis=1,
        ) * flat(leaves)
        # Second moments must stay above zero, and are small.
        expected = relative_differences_of_seeds(updated, [leaf.numpy() for leaf in leaves])
        column = 0
        for agent, state in enumerate(link.agent_states):
            for name, leaf in _named_leaves(state):
                columns = slice(column, column := column + int(np.prod(leaf.shape)))
                row = 0
                for own_name, own_leaf in _named_leaves(link.agent_states[-1]):
                    rows = slice(row, row := row + int(np.prod(own_leaf.shape)))
                    np.testing.assert_allclose(
                        jacobian[rows, columns], expected[rows, columns], rtol=1e-5, atol=1e-7,
                        err_msg=f"update: {own_name}, differentiated in {name} of agent {agent}",
                    )

    def _updated(self, estimator, tasks, link, agents, step_params):
        """The state of the agent after an update of all, as one vector for each seed."""
        states = adaptation.inner_update(links.Objectives(estimator, tasks, link), agents, step_params)
        return tf.concat([tf.reshape(leaf, [leaf.shape[0], -1]) for leaf in tf.nest.flatten(states[-1])], axis=1)

    def test_its_update_reads_the_others_only_if_it_says_so(self):
        """What was sampled being the same, whatever the others' parameters are."""
        agent, tiny = self.make_agent(), TinyGame(2, ends=True)
        if agent.plays_ahead or agent.reads_others:
            self.skipTest("It says so, or it plays, which it cannot without them.")
        estimator = self.make_estimator(tiny.game, tiny.policies)
        if not isinstance(estimator, contracts.PlayingEstimator):
            estimator = LoadedDiceEstimator(tiny.game, tiny.policies, 3, 2)
        agents = PolicyGradient(), agent
        update_params = adaptation.init_update_params(agents, estimator, 1, 1)
        states = adaptation.initial_states(agents, tiny.joint_params, estimator)
        link = links.sample_link(estimator, states, tiny.tasks, random.root_keys([3]))
        other = states[0]._replace(params=tuple(leaf - 0.7 for leaf in states[0].params))
        step_params = tuple(adaptation.at_step(params, 0) for params in update_params)
        first, second = (
            self._updated(estimator, tiny.tasks, link._replace(agent_states=(one, states[1])), agents, step_params)
            for one in (states[0], other)
        )
        what = "update: reads_others must be True, as another agent's parameters change it"
        np.testing.assert_allclose(second, first, rtol=1e-9, atol=1e-12, err_msg=what)

    def test_who_shapes_it_gets_the_right_gradient(self):
        """Theorem 1 of a Meta-MAPG agent that faces it, over two updates, against finite differences."""
        estimator, agents, joint_params, tasks = self._setting(MetaMAPG(0.4, value_weights=last_link))
        if not isinstance(estimator, ExactEstimator):
            self.skipTest("A chain from samples is no function of the parameters alone.")
        setting = estimator, agents, joint_params, tasks
        terms = agents[0].meta_gradients(self._chain(setting, 2), 0)
        self._check_meta_gradient(setting, 0, terms, (0.0, 0.0, 1.0))

    def test_its_own_meta_gradient(self):
        """Zeros if it is no meta-agent; with `meta_value_weights`, against finite differences of that meta-value."""
        setting = estimator, agents, joint_params, tasks = self._setting()
        chain = self._chain(setting, 2)
        terms = agents[-1].meta_gradients(chain, 1)
        for term in terms:
            self.assertEqual([leaf.shape for leaf in term.initial], [leaf[:, 0].shape for leaf in joint_params[1]])
            tf.nest.assert_same_structure(term.update, chain.update_params[1])
        if not agents[-1].is_meta_agent:
            self.assertFalse(np.any(flat(terms)), "meta_gradients: must be zeros, as it is no meta-agent")
        if self.meta_value_weights is not None:
            self._check_meta_gradient(setting, 1, terms, self.meta_value_weights)

    def _check_meta_gradient(self, setting, agent_index, terms, weights):
        """All terms together, against finite differences of Σ_l w_l V over two updates, by exact values."""
        estimator, agents, joint_params, tasks = setting

        def meta_value(*own_params):
            """With all points side by side as seeds."""
            params, own_tasks = tf.nest.map_structure(
                lambda leaf: tf.repeat(leaf, len(own_params[0]), axis=0), (list(joint_params), tasks)
            )
            params[agent_index] = tuple(tf.constant(leaf) for leaf in own_params)
            chain = self._chain((estimator, agents, tuple(params), own_tasks), 2)
            values = [estimator.values(link.joint_params, own_tasks, link.sample)[agent_index] for link in chain.links]
            return tf.add_n([
                weight * tf.reduce_mean(value, axis=1, keepdims=True) for weight, value in zip(weights, values)
            ]).numpy()

        derivatives = differences_of_seeds(meta_value, [leaf.numpy() for leaf in joint_params[agent_index]])
        expected = np.reshape(derivatives, [N_TASKS, -1]).sum(axis=0)
        what = f"the meta-gradient of agent {agent_index}"
        np.testing.assert_allclose(flat(terms.total.initial), expected, rtol=1e-5, atol=1e-7, err_msg=what)

    def test_all_links_share_what_is_traced(self):
        """A longer chain has no more to compile, and nothing of an agent's state is traced anew."""
        traces = []
        self._chain(self._setting(), 4, lambda function: MODES["graph"](counted(function, traces)))
        self.assertEqual(len(traces), N_TRACES)

    def test_its_state_can_be_stored(self):
        state = self._chain(self._setting(), 1).links[-1].agent_states[-1]
        stored = [np.array(leaf) for leaf in tf.nest.flatten(state)]
        restored = tf.nest.pack_sequence_as(state, [tf.constant(leaf) for leaf in stored])
        tf.nest.map_structure(np.testing.assert_array_equal, state, restored)


def _named_leaves(state):
    """Pairs of what a leaf of an agent's state is, in words, and the leaf."""
    parts = {"the parameters": state.params, "the extra state": state.extra}
    return [(f"leaf {i} of {name}", leaf) for name in parts for i, leaf in enumerate(tf.nest.flatten(parts[name]))]
