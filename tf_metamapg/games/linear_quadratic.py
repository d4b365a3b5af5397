"""Linear-quadratic games, the games of control theory (Başar & Olsder 1999): continuous states and actions."""

import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import descriptions
from tf_metamapg.games.finite import check_discount_and_names
from tf_metamapg.games.finite import check_finite_as
from tf_metamapg.numerics import products
from tf_metamapg.numerics import random


class LinearQuadraticGame(descriptions.Described):
    """x_(t+1) = A x_t + Σ_i B_i u_i + σ ε_t, and agent i gets −(xᵀ Q_i x + ρ u_iᵀ u_i) at each step.

    Every agent sees the whole state. Tasks are the matrices Q.

    Attributes:
        payoffs: float64 array [n_agents, D, D], the matrices Q.
        discount: γ.
        dtype: the name of the floating type of states, actions and rewards.
        name: what the game is called in figures and summaries.
        n_agents: n.
        n_uniforms: how many uniform numbers a transition takes.
        observation_specs: tuple over agents of TensorSpecs of one observation, a vector [D].
        action_specs: tuple over agents of TensorSpecs of one action, a vector [m_i].
    """

    def __init__(
        self, dynamics, controls, costs, start, action_cost=0.1, noise=0.0, discount=0.96, dtype="float32",
        name="linear-quadratic game",
    ):
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
        dynamics, start, costs = (
            arguments.table(f"{kind}.{name}", table)
            for name, table in (("dynamics", dynamics), ("start", start), ("costs", costs))
        )
        checks.check(start.ndim == 1 and start.size > 0, f"{kind}.start", start.tolist(), "a vector")
        size = start.size
        _check_shape(f"{kind}.dynamics", dynamics, (size, size))
        checks.check(
            isinstance(controls, (list, tuple)) and len(controls) > 0, f"{kind}.controls", controls,
            "a list of matrices, one for each agent",
        )
        controls = [arguments.table(f"{kind}.controls[{agent}]", of_agent) for agent, of_agent in enumerate(controls)]
        for agent, of_agent in enumerate(controls):
            checks.check(
                of_agent.ndim == 2 and of_agent.shape[0] == size and of_agent.shape[1] > 0, f"{kind}.controls[{agent}]",
                f"array of shape {of_agent.shape}", f"a matrix with {size} rows and at least one column",
            )
        _check_shape(f"{kind}.costs", costs, (len(controls), size, size))
        checks.check_number(f"{kind}.action_cost", action_cost)
        checks.check_number(f"{kind}.noise", noise, minimum=0.0)
        check_discount_and_names(kind, discount, dtype, name)
        for parameter, table in (("dynamics", dynamics), ("start", start), ("costs", costs), *(
            (f"controls[{agent}]", of_agent) for agent, of_agent in enumerate(controls)
        )):
            check_finite_as(f"{kind}.{parameter}", table, dtype)
        self.payoffs = costs
        self.discount = float(discount)
        self.dtype = dtype
        self.name = name
        self.n_agents = len(controls)
        self.n_uniforms = size if noise else 0
        self.observation_specs = (tf.TensorSpec([size], dtype),) * self.n_agents
        self.action_specs = tuple(tf.TensorSpec(of_agent.shape[1:], dtype) for of_agent in controls)
        self._dynamics = tf.constant(dynamics, dtype)
        self._controls = [tf.constant(of_agent, dtype) for of_agent in controls]
        self._start = tf.constant(start, dtype)
        self._action_cost = action_cost
        self._noise = noise

    def initial_state(self, shape):
        """The state before the first step, tensor [*shape, D]."""
        return tf.broadcast_to(self._start, [*shape, self._start.shape[0]])

    def observe(self, states, agent_index):
        """What an agent sees of states [..., D]: all of it."""
        del agent_index
        return states

    def next_state(self, state, joint_action, uniforms):
        """The state after a joint action.

        Args:
            state: tensor [..., D].
            joint_action: tuple over agents of tensors [..., m_i].
            uniforms: list of `n_uniforms` tensors [...], uniform in [0, 1).

        Returns:
            tensor [..., D].
        """
        state = tf.tensordot(state, self._dynamics, axes=[[-1], [1]])
        for of_agent, action in zip(self._controls, joint_action):
            state += tf.tensordot(action, of_agent, axes=[[-1], [1]])
        if uniforms:
            state += self._noise * random.normal_quantile(tf.stack(uniforms, axis=-1))
        return state

    def rewards(self, costs, states, joint_actions):
        """The rewards of joint actions.

        Args:
            costs: tensor [S, N, n_agents, D, D].
            states: tensor [S, N, K, D].
            joint_actions: tuple over agents of tensors [S, N, K, m_i].

        Returns:
            tuple over agents of tensors [S, N, K].
        """
        return tuple(
            -tf.reduce_sum(states * products.matmul(states, tf.linalg.matrix_transpose(costs[:, :, agent])), axis=-1)
            - self._action_cost * tf.reduce_sum(tf.square(action), axis=-1)
            for agent, action in enumerate(joint_actions)
        )


def _check_shape(parameter, table, shape):
    checks.check(table.shape == shape, parameter, f"array of shape {table.shape}", f"of shape {shape}")
