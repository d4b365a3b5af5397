"""Exact values: the *expected* reading of Eq. 3 without sampling."""

import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import descriptions
from tf_metamapg.policies import features


class ExactEstimator(descriptions.Described):
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
        is_game = hasattr(game, "exact_values") and not isinstance(game, type)
        checks.check(is_game, "ExactEstimator.game", type(game).__name__, "a game with exact values")
        arguments.check_policies(
            "ExactEstimator.policies", policies, ("reference_params", "strategy"),
            "a policy without memory over finitely many observations, or a vector", features.agent_specs(game),
        )
        self.game = game
        self.policies = policies

    def sample(self, joint_params, tasks, keys):
        """Nothing: exact values need no trajectories. See `SampledEstimator.sample` for the arguments."""
        joint_params = arguments.joint_params("joint_params", joint_params, self.policies)
        sizes = arguments.seeds_and_tasks(joint_params)
        arguments.tasks("tasks", tasks, self.game, sizes)
        arguments.keys("keys", keys, sizes[0])
        return ()

    def objectives(self, joint_params, tasks, sample):
        """The agents' discounted values Vⁱ.

        Args:
            joint_params: JointParams with leaves [S, N, ...].
            tasks: the payoffs.
            sample: not used.

        Returns:
            tuple over agents of tensors [S, N], differentiable any number of times in `joint_params`.

        Raises:
            InvalidInputError: if one of these is something else.
        """
        del sample
        joint_params = arguments.joint_params("joint_params", joint_params, self.policies)
        tasks = arguments.tasks("tasks", tasks, self.game, arguments.seeds_and_tasks(joint_params))
        strategies = tuple(policy.strategy(params) for policy, params in zip(self.policies, joint_params))
        return self.game.exact_values(tasks, strategies)

    def current_policy_objective(self, joint_params, sample, agent_index, later_values):
        """Zero: nothing is sampled, so nothing depends on θ through a sample."""
        del joint_params, sample
        checks.check_agent_index("agent_index", agent_index, self.game.n_agents)
        return tf.zeros_like(later_values)

    def values(self, joint_params, tasks, sample):
        """The same as `objectives`."""
        return self.objectives(joint_params, tasks, sample)

    def mean_rewards(self, joint_params, tasks, sample):
        """The reward per step, (1 − γ) Vⁱ: tuple over agents of tensors [S, N]."""
        values = self.objectives(joint_params, tasks, sample)
        return tuple((1.0 - self.game.discount) * value for value in values)
