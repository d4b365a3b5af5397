"""Exact values: the *expected* reading of Eq. 3 without sampling."""

import tensorflow as tf

from tf_metamapg import checks


class ExactEstimator:
    """Objectives in closed form, for games that have `exact_values`; policies must be without memory.

    Attributes:
        game: the game that is played.
        policies: one policy for each agent.
        has_cross_derivatives: see `estimators/`.
        n_steps: environment steps that are simulated for each seed and task: none.
    """

    has_cross_derivatives = True
    n_steps = 0

    def __init__(self, game, policies):
        """
        Args:
            game: a game with `exact_values`.
            policies: one policy for each agent, without a memory.

        Raises:
            InvalidInputError: if that is not what they are.
        """
        checks.check(
            hasattr(game, "exact_values"), "ExactEstimator.game", type(game).__name__, "a game with exact values"
        )
        for index, policy in enumerate(policies):
            checks.check(
                hasattr(policy, "behaviour"), f"ExactEstimator.policies[{index}]", type(policy).__name__,
                "a policy without memory over finitely many observations, or a vector",
            )
        self.game = game
        self.policies = policies

    def sample(self, joint_params, tasks, keys):
        """Nothing: exact values need no trajectories."""
        del joint_params, tasks, keys
        return ()

    def objectives(self, joint_params, tasks, sample):
        """The agents' discounted values Vⁱ.

        Args:
            joint_params: JointParams with leaves [S, N, ...].
            tasks: the payoffs.
            sample: not used.

        Returns:
            tuple over agents of tensors [S, N], differentiable any number of times in `joint_params`.
        """
        del sample
        behaviours = tuple(policy.behaviour(params) for policy, params in zip(self.policies, joint_params))
        return self.game.exact_values(tasks, behaviours)

    def current_policy_objective(self, joint_params, sample, agent_index, later_values):
        """Zero: nothing is sampled, so nothing depends on θ through a sample."""
        del joint_params, sample, agent_index
        return tf.zeros_like(later_values)

    def values(self, joint_params, tasks, sample):
        """The same as `objectives`."""
        return self.objectives(joint_params, tasks, sample)

    def average_rewards(self, joint_params, tasks, sample):
        """The reward per step, (1 − γ) Vⁱ: tuple over agents of tensors [S, N]."""
        values = self.objectives(joint_params, tasks, sample)
        return tuple((1.0 - self.game.discount) * value for value in values)
