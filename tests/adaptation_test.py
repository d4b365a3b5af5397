"""The inner update is Eq. 3 for every agent, and a chain repeats it."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import checks
from tf_metamapg import links
from tf_metamapg.agents.competitive_gradient_descent import CompetitiveGradientDescent
from tf_metamapg.agents.hola import HOLA
from tf_metamapg.agents.lola_dice import LOLADiCE
from tf_metamapg.agents.lola_shaping import LOLAShaping
from tf_metamapg.agents.lola_taylor import LOLATaylor
from tf_metamapg.agents.look_ahead import LookAhead
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.agents.pola import POLA
from tf_metamapg.agents.sos import SOS
from tf_metamapg.agents.symplectic_gradient_adjustment import SymplecticGradientAdjustment
from tf_metamapg.contracts import AgentState
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.estimators.score_function import ScoreFunctionEstimator
from tf_metamapg.games.differentiable import DifferentiableGame
from tf_metamapg.games.matrix import IteratedMatrixGame
from tf_metamapg.games.matrix import MatrixGame
from tf_metamapg.games.tasks import PayoffNoise
from tf_metamapg.numerics import random
from tf_metamapg.policies.tabular import tabular_policy
from tf_metamapg.policies.vector import vector_policy
from tf_metamapg.testing.modes import differences_of_seeds

N_SEEDS, N_TASKS = 2, 3


def make_setting(n_agents, make_estimator):
    payoffs = np.random.default_rng(0).normal(size=[n_agents] + [2] * n_agents)
    game = IteratedMatrixGame(payoffs, discount=0.8, dtype="float64")
    policies = [tabular_policy(game, agent) for agent in range(n_agents)]
    initial_params = adaptation.for_each_task(
        tuple(policy.initial_params(range(N_SEEDS)) for policy in policies), N_TASKS
    )
    keys = random.root_keys(range(N_SEEDS))
    tasks = PayoffNoise(game, width=0.3).sample(keys, N_TASKS)
    return make_estimator(game, policies), initial_params, tasks, keys


def link(joint_params):
    """A Link of agents that are nothing but their parameters, where nothing is sampled."""
    return links.Link(tuple(map(AgentState, joint_params)), (), random.root_keys([0]))


def dice(game, policies):
    return LoadedDiceEstimator(game, policies, n_trajectories=8, horizon=5)


def score_function(game, policies):
    return ScoreFunctionEstimator(game, policies, n_trajectories=8, horizon=5)


class AdaptationTest(tf.test.TestCase, parameterized.TestCase):

    @parameterized.product(n_agents=[2, 3])
    def test_exact_update_against_finite_differences(self, n_agents):
        """φ^j = θ^j + α^j ∂V^j/∂θ^j with each agent's own objective and learning rate."""
        estimator, initial_params, tasks, keys = make_setting(n_agents, ExactEstimator)
        rates = [0.5, 2.0, 0.1][:n_agents]
        agents = [PolicyGradient(rate) for rate in rates]
        start, end = adaptation.adapt(estimator, agents, initial_params, tasks, [keys] * 2).links
        for agent, rate in enumerate(rates):
            table = start.joint_params[agent][0].numpy()

            def values(shifts, agent=agent, table=table):
                """Of all seeds and tasks, with the same shift of the logits of each, for each shift."""
                joint_params, rows = list(start.joint_params), []
                for shift in shifts:
                    joint_params[agent] = (tf.constant(table + shift),)
                    rows.append(np.ravel(estimator.objectives(joint_params, tasks, ())[agent]))
                return np.stack(rows)

            slopes = differences_of_seeds(values, [np.zeros([1, *table.shape[2:]])])
            moved = (end.joint_params[agent][0] - table) / rate
            self.assertAllClose(moved, slopes.reshape(table.shape), rtol=1e-6, atol=1e-8)

    @parameterized.parameters(
        (lambda state: None, "update", " = 1 tensors, None: must be of the structure of the state before it, 2 .*"),
        (lambda state: state.params, "update", r" = 1 tensors, \(float64 \[2, 3, 5, 1\],\): must be of the structure"),
        (lambda state: [*state.params, state.extra], "update", r" = 2 tensors, \[.*: must be of the structure of"),
        (lambda state: AgentState(state.params), "update", r" = 1 tensors, AgentState\(.*extra=\(\)\): must be of the"),
        (lambda state: AgentState(state.params, state.extra[:, :1]), "update",
         r", leaf 1, = float64 \[2, 1\]: must be float64 \[2, 3\], like that of the state before it"),
        (lambda state: AgentState(state.params, tf.cast(state.extra, "float32")), "update",
         r", leaf 1, = float32 \[2, 3\]: must be float64 \[2, 3\], like that"),
        (lambda state: state.params, "init", r" = \(.*\): must be an AgentState"),
        (lambda state: AgentState(state.params, tf.zeros([], "float64")), "init",
         r"\.extra, leaf 0, = float64 \[\]: must be of float64 tensors \[2, 3, \.\.\.\]"),
        (lambda state: AgentState(state.params, tf.zeros([2, 3], "int32")), "init",
         r"\.extra, leaf 0, = int32 \[2, 3\]: must be of float64 tensors \[2, 3, \.\.\.\]"),
    )
    def test_states_that_agents_return(self, change, method, message):
        class Counting(PolicyGradient):
            def init(self, params, estimator, agent_index):
                state = AgentState(params, tf.zeros(params[0].shape[:2], "float64"))
                return change(state) if method == "init" else state

            def update(self, state, objectives, agent_index, step_params):
                params = super().update(state, objectives, agent_index, step_params).params
                state = AgentState(params, state.extra + 1.0)
                return change(state) if method == "update" else state

        estimator, initial_params, tasks, keys = make_setting(2, ExactEstimator)
        with self.assertRaisesRegex(
            checks.InvalidInputError, rf"^Counting\.{method}\(\.\.\.\){message}[^\n]*$"
        ):
            adaptation.adapt(estimator, [Counting(), PolicyGradient()], initial_params, tasks, [keys] * 2)

    @parameterized.parameters(ExactEstimator, dice, score_function)
    def test_chain_is_repeated_inner_updates_from_initial_params(self, make_estimator):
        estimator, initial_params, tasks, keys = make_setting(2, make_estimator)
        agents = [PolicyGradient(0.5), PolicyGradient(1.5)]
        link_keys = [random.fold_in(keys, link) for link in range(4)]
        chain = adaptation.adapt(estimator, agents, initial_params, tasks, link_keys)
        self.assertLen(chain.links, 4)
        for params, initial in zip(chain.links[0].joint_params, initial_params):
            self.assertAllEqual(params[0], initial[0])
        for before, after in zip(chain.links[:-1], chain.links[1:]):
            updated = adaptation.inner_update(links.Objectives(estimator, tasks, before), agents, ((), ()))
            tf.nest.map_structure(self.assertAllEqual, updated, after.agent_states)
            self.assertNotAllClose(after.joint_params[0][0], before.joint_params[0][0])

    @parameterized.parameters(ExactEstimator, dice, score_function)
    def test_tasks_do_not_mix(self, make_estimator):
        """Changing one task changes how agents adapt to it, and to no other."""
        estimator, initial_params, tasks, keys = make_setting(2, make_estimator)
        agents = [PolicyGradient(1.0)] * 2
        link_keys = [random.fold_in(keys, link) for link in range(3)]
        change = tf.constant([[[1.0, -2.0], [3.0, 0.5]]] * 2, tasks.dtype)
        other_tasks = tf.tensor_scatter_nd_add(tasks, [[1, 2]], change[tf.newaxis])
        first, second = (
            adaptation.adapt(estimator, agents, initial_params, t, link_keys).links[-1].joint_params[0][0].numpy()
            for t in (tasks, other_tasks)
        )
        changed = np.any(first != second, axis=(2, 3))
        self.assertAllEqual(changed, [[False] * 3, [False, False, True]])

    def test_one_agent_and_one_policy_for_each_agent_of_the_game(self):
        estimator, initial_params, tasks, keys = make_setting(2, ExactEstimator)
        agents = [PolicyGradient(1.0)] * 2
        for arguments, name in (
            ((agents[:1], initial_params, tasks, [keys] * 2), "agents"),
            ((agents, initial_params[:1], tasks, [keys] * 2), "initial_params"),
            ((agents, initial_params, tasks, []), "keys"),
        ):
            with self.assertRaisesRegex(checks.InvalidInputError, f"^{name} = .*: must be"):
                adaptation.adapt(estimator, *arguments)

    def test_an_objective_without_its_own_agent_is_an_error(self):
        game = DifferentiableGame(lambda x, y: (y[..., 0], x[..., 0] * y[..., 0]), [1, 1])
        estimator = ExactEstimator(game, [vector_policy(game, agent) for agent in range(2)])
        joint_params = tuple((tf.ones([1, 1, 1], tf.float64),) for _ in range(2))
        objectives = links.Objectives(estimator, (), link(joint_params))
        for agent in (PolicyGradient(), LOLADiCE(n_lookahead_steps=0)):
            with self.assertRaisesRegex(links.DeadGradientError, "agent 0 does not depend on its own"):
                agent.gradients(objectives, 0)
            self.assertAllEqual(agent.gradients(objectives, 1)[0], [[[1.0]]])
        # Of another agent's value there may be nothing that depends on it.
        self.assertAllEqual(objectives.gradients(0, with_respect_to=1)[0], [[[1.0]]])

    def test_an_agent_that_is_alone_anticipates_nobody(self):
        game = MatrixGame([[1.0, 2.0]], dtype="float64")
        estimator = ExactEstimator(game, [tabular_policy(game, 0)])
        tasks = tf.constant(game.default_tasks)[tf.newaxis, tf.newaxis]
        objectives = links.Objectives(estimator, tasks, link(((tf.zeros([1, 1, 1, 1], tf.float64),),)))
        for agent in (
            LookAhead(), LOLAShaping(), LOLATaylor(), SOS(), SymplecticGradientAdjustment(),
            CompetitiveGradientDescent(), HOLA(), POLA(),
        ):
            self.assertAllClose(agent.gradients(objectives, 0)[0], [[[[-0.25]]]])


if __name__ == "__main__":
    tf.test.main()
