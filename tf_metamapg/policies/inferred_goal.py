"""Goals of others, inferred with one's own policy (Raileanu et al. 2018, Modeling others using oneself).

A policy acts by what it observes and by a vector z, the goal that it believes the others to have. After the episodes of
a link it puts itself in their place, and climbs the likelihood of what they did, at what they observed, in z:

    z ← z + η ∇_z Σ_{j≠i} mean log π(a^j_t | o^j_t, z; θⁱ), a few times.

Raileanu et al. do so after every step of an episode, and let the policy know a goal of its own; the games here have
none. Derivatives pass through these steps as through everything that is carried, second ones of log π among them.
"""

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Trajectory
from tf_metamapg.policies import functional
from tf_metamapg.policies.extra_inputs import ExtraInputsPolicy
from tf_metamapg.policies.extra_inputs import MakePolicy
from tf_metamapg.policies.mlp import mlp_policy


class InferredGoalPolicy(ExtraInputsPolicy):
    """A network that sees, beside its observations, the goal that explains what the others did: zeros at first."""

    def __init__(
        self, game: contracts.AnyGame, agent_index: int, make_policy: MakePolicy, size: int, n_steps: int,
        step_size: float,
    ) -> None:
        """Takes what `inferred_goal_policy` does.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        kind = "inferred_goal_policy"
        spec = functional.agent_spec(kind, game, agent_index)
        self._others = [agent for agent in range(game.spec.n_agents) if agent != agent_index]
        are_alike = all(game.spec.agent(agent) == spec for agent in self._others)
        allowed = "a game of several agents, who all see and do the same kinds of things"
        checks.check(bool(self._others) and are_alike, f"{kind}.game", game, allowed)
        checks.check_integer(f"{kind}.size", size, minimum=1)
        # All steps are part of one graph.
        checks.check_integer(f"{kind}.n_steps", n_steps, minimum=1, maximum=100)
        checks.check_positive(f"{kind}.step_size", step_size)
        self._n_steps = n_steps
        self._step_size = step_size
        super().__init__(kind, game, agent_index, make_policy, size)

    def inputs(self, params: Params, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """See `ExtraInputsPolicy.inputs`: z, [S, N, size], from where it was."""
        del agent_index
        likelihoods = [
            self.log_likelihood(
                trajectory.observations[agent], trajectory.actions[agent], trajectory.agent_mask(agent)
            )
            for agent in self._others
        ]
        *weights, goal = params
        for _ in range(self._n_steps):
            with tf.GradientTape() as tape:
                tape.watch(goal)
                likelihood = tf.add_n([of_one((*weights, goal)) for of_one in likelihoods])
            goal += self._step_size * tape.gradient(likelihood, goal)
        return goal[:, :, 0]


@descriptions.maker
def inferred_goal_policy(
    game: contracts.AnyGame, agent_index: int, make_policy: MakePolicy = mlp_policy, size: int = 2, n_steps: int = 3,
    step_size: float = 1.0,
) -> InferredGoalPolicy:
    """The policy of one agent as a network that is given a goal of the others, inferred with itself.

    Args:
        game: any game that is played step by step, of agents who all see and do the same kinds of things.
        agent_index: which agent of the game.
        make_policy: see `opponent_features_policy`.
        size: how many numbers the goal is.
        n_steps: steps of its inference after each link, ≥ 1.
        step_size: η > 0, in units of mean log-probability.

    Returns:
        `InferredGoalPolicy`, for estimators of sampled inner updates.

    Raises:
        InvalidInputError: if one of these does not hold.
    """
    return InferredGoalPolicy(game, agent_index, make_policy, size, n_steps, step_size)
