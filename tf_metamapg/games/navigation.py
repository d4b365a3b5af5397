"""Navigation in the plane to a goal that nobody sees: continuous actions, and an end.

The two-dimensional navigation of Finn et al. 2017, Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks,
with one point that several agents push. A task is where the goal is; what adapts to it are the policies, as agents do
not see it.
"""

from collections.abc import Sequence

from numpy.typing import ArrayLike
import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.contracts import Structure


class NavigationGame(descriptions.Described):
    """Several agents push one point to a goal, where the game ends for all of them.

    Actions are pushes u_i in the plane, of which each coordinate counts as at most 1 either way. The point x starts at
    (0, 0) and moves by step_size times the mean push. Each agent gets −‖x − goal‖² of where the point has come to,
    less action_cost · ‖u_i‖² of its own push: the goal is everybody's, and the effort one's own. All see x.

    Attributes:
        spec: `contracts.GameSpec`; its metrics are `distance`, from the goal after the step, and `effort`, ‖u_i‖².
        default_tasks: the goal, float64 array [2]. `PayoffNoise` of width 0.5 around the start is a unit square of
            goals, as in Finn et al. 2017.
        n_reset_uniforms: how many uniform numbers a reset takes: none.
        n_step_uniforms: how many uniform numbers a step takes: none.
    """

    n_reset_uniforms = n_step_uniforms = 0

    def __init__(
        self, n_agents: int = 2, goal: ArrayLike = (0.5, 0.0), *, radius: float = 0.1, step_size: float = 0.1,
        action_cost: float = 0.01, discount: float = 0.96, dtype: str = "float32", name: str = "navigation",
    ) -> None:
        """
        Args:
            n_agents: n ≥ 1.
            goal: array-like [2].
            radius: how far from the goal the game ends, > 0. In Finn et al. 2017 it is 0.01, which is smaller than a
                step.
            step_size: how far the point moves in each coordinate at most, > 0.
            action_cost: what a push costs whoever makes it, ≥ 0.
            discount: γ, in [0, 1).
            dtype: 'float32' or 'float64'.
            name: what the game is called in figures and summaries.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        kind = type(self).__name__
        checks.check_integer(f"{kind}.n_agents", n_agents, minimum=1)
        place = arguments.table(f"{kind}.goal", goal)
        checks.check(place.shape == (2,), f"{kind}.goal", place.tolist(), "a vector of two numbers")
        checks.check_positive(f"{kind}.radius", radius)
        checks.check_positive(f"{kind}.step_size", step_size)
        checks.check_number(f"{kind}.action_cost", action_cost, minimum=0.0)
        # Agents may miss the goal for ever, so that nothing but the discount bounds values.
        contracts.check_game_numbers(kind, discount, dtype, name)
        arguments.check_finite_as(f"{kind}.goal", place, dtype)
        plane = contracts.Box((2,))
        self.spec = contracts.GameSpec(
            name=name, discount=float(discount), dtype=dtype, observations=(plane,) * n_agents,
            actions=(plane,) * n_agents, ends=True, metrics=("distance", "effort"),
        )
        self.default_tasks = place
        self._radius = radius
        self._step_size = step_size
        self._action_cost = action_cost

    def reset(self, tasks: Structure, uniforms: tf.Tensor) -> tf.Tensor:
        """Where the point is before the first step, tensor [S, N, K, 2]."""
        del tasks
        return tf.zeros([*uniforms.shape[1:], 2], self.spec.dtype)

    def observe(self, tasks: Structure, state: tf.Tensor, agent_index: int) -> tf.Tensor:
        """What an agent sees: where the point is, [S, N, K, 2]."""
        del tasks
        checks.check_agent_index("agent_index", agent_index, self.spec.n_agents)
        return state

    def step(
        self, tasks: Structure, state: tf.Tensor, joint_action: tuple[tf.Tensor, ...], uniforms: tf.Tensor
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, ...], tuple[tf.Tensor, ...]]:
        """See `contracts.Game.step`; all agents leave together."""
        del uniforms
        state, squared_distance = self._moved(tasks, state, joint_action)
        rewards = tuple(-squared_distance - self._action_cost * effort for effort in _efforts(joint_action))
        return state, rewards, (squared_distance >= self._radius**2,) * self.spec.n_agents

    def metrics(
        self, tasks: Structure, state: tf.Tensor, joint_action: tuple[tf.Tensor, ...]
    ) -> dict[str, tuple[tf.Tensor, ...]]:
        """See `contracts.MeasuredGame.metrics`."""
        _, squared_distance = self._moved(tasks, state, joint_action)
        return {
            "distance": (tf.sqrt(squared_distance),) * self.spec.n_agents, "effort": tuple(_efforts(joint_action)),
        }

    def _moved(self, tasks, state, joint_action):
        """(where the point has come to, how far from the goal that is, squared [S, N, K])."""
        pushes = _limited(joint_action)
        state += self._step_size / len(pushes) * tf.add_n(pushes)
        return state, tf.reduce_sum(tf.square(state - tasks[:, :, tf.newaxis]), axis=-1)


def _limited(joint_action: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    return [tf.clip_by_value(action, -1.0, 1.0) for action in joint_action]


def _efforts(joint_action):
    return [tf.reduce_sum(tf.square(push), axis=-1) for push in _limited(joint_action)]
