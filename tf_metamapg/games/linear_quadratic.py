"""Linear-quadratic games, the games of control theory (Başar & Olsder 1999): continuous states and actions."""

from collections.abc import Sequence

from numpy.typing import ArrayLike
import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.numerics import products
from tf_metamapg.numerics import random


class LinearQuadraticGame(descriptions.Described):
    """x_(t+1) = A x_t + Σ_i B_i u_i + σ ε_t, and agent i gets −(xᵀ Q_i x + ρ u_iᵀ u_i) at each step.

    Every agent sees the whole state. Tasks are the matrices Q.

    Attributes:
        spec: `contracts.GameSpec`; observations are vectors [D], actions vectors [m_i].
        default_tasks: the matrices Q, float64 array [n_agents, D, D].
        n_reset_uniforms: how many uniform numbers a reset takes: none.
        n_step_uniforms: how many uniform numbers a step takes.
    """

    n_reset_uniforms = 0

    def __init__(
        self, dynamics: ArrayLike, controls: Sequence[ArrayLike], costs: ArrayLike, start: ArrayLike, *,
        action_cost: float = 0.1, noise: float = 0.0, discount: float = 0.96, dtype: str = "float32",
        name: str = "linear-quadratic game",
    ) -> None:
        """
        Args:
            dynamics: A, array-like [D, D].
            controls: one array-like B_i [D, m_i] for each agent.
            costs: Q, array-like [n_agents, D, D].
            start: the state in which every trajectory starts, array-like [D].
            action_cost: ρ.
            noise: σ ≥ 0; ε is standard normal in every coordinate.
            discount: γ, in [0, 1).
            dtype: 'float32' or 'float64'.
            name: what the game is called in figures and summaries.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        kind = type(self).__name__
        dynamics_matrix = arguments.table(f"{kind}.dynamics", dynamics)
        start_state = arguments.table(f"{kind}.start", start)
        cost_matrices = arguments.table(f"{kind}.costs", costs)
        checks.check(start_state.ndim == 1 and start_state.size > 0, f"{kind}.start", start_state.tolist(), "a vector")
        size = start_state.size
        checks.check_shape(f"{kind}.dynamics", dynamics_matrix, (size, size))
        checks.check(
            isinstance(controls, (list, tuple)) and len(controls) > 0, f"{kind}.controls", controls,
            "a list of matrices, one for each agent",
        )
        control_matrices = [
            arguments.table(f"{kind}.controls[{agent}]", control) for agent, control in enumerate(controls)
        ]
        for agent, control in enumerate(control_matrices):
            checks.check(
                control.ndim == 2 and control.shape[0] == size and control.shape[1] > 0, f"{kind}.controls[{agent}]",
                f"array of shape {control.shape}", f"a matrix with {size} rows and at least one column",
            )
        checks.check_shape(f"{kind}.costs", cost_matrices, (len(control_matrices), size, size))
        checks.check_number(f"{kind}.action_cost", action_cost)
        checks.check_number(f"{kind}.noise", noise, minimum=0.0)
        contracts.check_game_numbers(kind, discount, dtype, name)
        for parameter, table in (("dynamics", dynamics_matrix), ("start", start_state), ("costs", cost_matrices), *(
            (f"controls[{agent}]", control) for agent, control in enumerate(control_matrices)
        )):
            arguments.check_finite_as(f"{kind}.{parameter}", table, dtype)
        self.spec = contracts.GameSpec(
            name=name, discount=float(discount), dtype=dtype,
            observations=(contracts.Box((size,)),) * len(control_matrices),
            actions=tuple(contracts.Box(control.shape[1:]) for control in control_matrices),
        )
        self.default_tasks = cost_matrices
        self.n_step_uniforms = size if noise else 0
        self._dynamics = tf.constant(dynamics_matrix, dtype)
        self._controls = [tf.constant(control, dtype) for control in control_matrices]
        self._start = tf.constant(start_state, dtype)
        self._action_cost = action_cost
        self._noise = noise

    def reset(self, tasks: tf.Tensor, uniforms: tf.Tensor) -> tf.Tensor:
        """The state before the first step, tensor [S, N, K, D]."""
        del tasks
        return tf.broadcast_to(self._start, [*uniforms.shape[1:], self._start.shape[0]])

    def observe(self, tasks: tf.Tensor, state: tf.Tensor, agent_index: int) -> tf.Tensor:
        """What an agent sees of states [..., D]: all of it."""
        del tasks
        checks.check_agent_index("agent_index", agent_index, self.spec.n_agents)
        return state

    def step(
        self, tasks: tf.Tensor, state: tf.Tensor, joint_action: tuple[tf.Tensor, ...], uniforms: tf.Tensor
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, ...], tuple[tf.Tensor, ...]]:
        """See `contracts.Game.step`.

        Args:
            tasks: costs, tensor [S, N, n_agents, D, D].
            state: tensor [S, N, K, D].
            joint_action: tuple over agents of tensors [S, N, K, m_i].
            uniforms: tensor [n_step_uniforms, S, N, K].

        Returns:
            (state [S, N, K, D], tuple over agents of rewards [S, N, K], ()).
        """
        rewards = tuple(
            -tf.reduce_sum(state * products.matmul(state, tf.linalg.matrix_transpose(tasks[:, :, agent])), axis=-1)
            - self._action_cost * tf.reduce_sum(tf.square(action), axis=-1)
            for agent, action in enumerate(joint_action)
        )
        state = tf.tensordot(state, self._dynamics, axes=[[-1], [1]])
        for control, action in zip(self._controls, joint_action):
            state += tf.tensordot(action, control, axes=[[-1], [1]])
        if self.n_step_uniforms:
            state += self._noise * random.normal_quantile(tf.stack(tf.unstack(uniforms), axis=-1))
        return state, rewards, ()
