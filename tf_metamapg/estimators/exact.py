"""Exact values: *expected* inner updates (Eq. 3) without sampling."""

from collections.abc import Sequence
from typing import Literal

import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import Structure


class ExactEstimator(descriptions.Described):
    """Objectives in closed form, for games whose values are known; policies must not be recurrent.

    Attributes:
        spec: `contracts.GameSpec` of the game that is played.
        default_tasks: those of the game.
        policies: one policy for each agent.
        inner_update: "expected", see `estimators/`.
        in_graph: True.
        n_steps: environment steps that are simulated for each seed and task: none.
    """

    inner_update: Literal["expected"] = "expected"
    in_graph = True
    n_steps = 0

    def __init__(self, game: contracts.ExactGame, policies: Sequence[contracts.ExactPolicy]) -> None:
        """
        Args:
            game: `contracts.ExactGame`.
            policies: one `contracts.ExactPolicy` for each agent.

        Raises:
            InvalidInputError: if the game has no exact values or a policy is recurrent.
        """
        contracts.check_kind("ExactEstimator.game", game, contracts.ExactGame, "a game with exact values")
        arguments.check_policies(
            "ExactEstimator.policies", policies, contracts.ExactPolicy,
            "a policy over finitely many observations that is not recurrent, or a vector", game.spec,
        )
        if game.spec.metrics:
            _measured("ExactEstimator.game", game)
        self._game = game
        self.spec = game.spec
        self.default_tasks = game.default_tasks
        self.policies = tuple(policies)

    def sample(
        self, joint_params: JointParams, tasks: Structure, keys: tf.Tensor, critic_params: JointParams = ()
    ) -> Structure:
        """Nothing: exact values need no trajectories. See `SampledEstimator.sample` for the arguments."""
        del critic_params
        joint_params = arguments.joint_params("joint_params", joint_params, self.policies)
        sizes = arguments.seeds_and_tasks(joint_params)
        arguments.tasks("tasks", tasks, self, sizes)
        arguments.keys("keys", keys, sizes[0])
        return ()

    def objectives(self, joint_params: JointParams, tasks: Structure, sample: Structure) -> tuple[tf.Tensor, ...]:
        """The agents' discounted values Vⁱ.

        Args:
            joint_params: JointParams with leaves [S, N, ...].
            tasks: the tasks, with leading axes [S, N].
            sample: not used.

        Returns:
            tuple over agents of tensors [S, N], differentiable any number of times in `joint_params`.

        Raises:
            InvalidInputError: if one of these is something else.
        """
        del sample
        return self._game.exact_values(*self._tasks_and_strategies(joint_params, tasks))

    def current_policy_objective(
        self, joint_params: JointParams, sample: Structure, agent_index: int, later_values: tf.Tensor
    ) -> tf.Tensor:
        """Zero: nothing is sampled, so nothing depends on θ through a sample."""
        del joint_params, sample
        checks.check_agent_index("agent_index", agent_index, self.spec.n_agents)
        return tf.zeros_like(later_values)

    def values(self, joint_params: JointParams, tasks: Structure, sample: Structure) -> tuple[tf.Tensor, ...]:
        """The same as `objectives`."""
        return self.objectives(joint_params, tasks, sample)

    def mean_rewards(self, joint_params: JointParams, tasks: Structure, sample: Structure) -> tuple[tf.Tensor, ...]:
        """The reward per step, Vⁱ over the discounted number of steps: tuple over agents of tensors [S, N].

        Where the game does not end, that is (1 − γ) Vⁱ.
        """
        values = self.objectives(joint_params, tasks, sample)
        if not self.spec.ends:
            return tuple((1.0 - self.spec.discount) * value for value in values)
        lengths = self._game.exact_lengths(*self._tasks_and_strategies(joint_params, tasks))
        return tuple(value / length for value, length in zip(values, lengths))

    def metrics(
        self, joint_params: JointParams, tasks: Structure, sample: Structure
    ) -> dict[str, tuple[tf.Tensor, ...]]:
        """The game's metrics, discounted means per step: by name, tuples over agents of tensors [S, N]."""
        del sample
        if not self.spec.metrics:
            return {}
        game = _measured("estimator.game", self._game)
        return game.exact_metrics(*self._tasks_and_strategies(joint_params, tasks))

    def entropies(self, joint_params: JointParams, tasks: Structure, sample: Structure) -> tuple[tf.Tensor, ...]:
        """E Σ_t γᵗ H(πⁱ(·|o_t)), in nats: tuple over agents of tensors [S, N].

        Raises:
            InvalidInputError: if the game's actions have no entropy.
        """
        del sample
        game = contracts.checked_kind(
            "estimator.game", self._game, contracts.EntropyGame, "a game whose actions have an entropy"
        )
        return game.exact_entropies(*self._tasks_and_strategies(joint_params, tasks))

    def joint_action_values(self, joint_params: JointParams, tasks: Structure) -> contracts.JointActionValues:
        """See `contracts.JointActionEstimator.joint_action_values`; leaves [S, N, ...].

        Raises:
            InvalidInputError: if the game does not know them.
        """
        game = contracts.checked_kind(
            "estimator.game", self._game, contracts.JointActionGame, "a game that knows the values of joint actions"
        )
        return game.exact_joint_action_values(*self._tasks_and_strategies(joint_params, tasks))

    def _tasks_and_strategies(self, joint_params, tasks):
        joint_params = arguments.joint_params("joint_params", joint_params, self.policies)
        tasks = arguments.tasks("tasks", tasks, self, arguments.seeds_and_tasks(joint_params))
        return tasks, tuple(policy.strategy(params) for policy, params in zip(self.policies, joint_params))


def _measured(parameter, game):
    return contracts.checked_kind(
        parameter, game, contracts.MeasuredExactGame, "a game whose metrics have exact values, too"
    )
