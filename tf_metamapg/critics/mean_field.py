"""Mean-field baselines (Yang et al. 2018): of many others, what matters is how many do what."""

from collections.abc import Sequence

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg.contracts import Trajectory
from tf_metamapg.critics import joint_features
from tf_metamapg.critics.counterfactual import CounterfactualBaseline
from tf_metamapg.policies import encoders


class MeanFieldBaseline(CounterfactualBaseline):
    """Σ_b πⁱ(b|o) Qⁱ(o, b, ā⁻ⁱ), with ā⁻ⁱ the mean of the others' one-hot actions, and o what the agent itself sees.

    Its networks do not grow with the number of agents. An agent that has left does nothing, a vector of zeros.
    """

    def __init__(
        self, spec: contracts.GameSpec, policies: Sequence[contracts.StepPolicy], units: int = 64,
        learning_rate: float = 0.01,
    ) -> None:
        """See `CounterfactualBaseline`.

        Raises:
            InvalidInputError: if one of these does not hold, there are two agents or one, or they have different
                numbers of actions.
        """
        kind = type(self).__name__
        allowed = "of at least 3 agents; for fewer there is CounterfactualBaseline"
        checks.check(spec.n_agents >= 3, f"{kind}.spec.n_agents", spec.n_agents, allowed)
        is_alike = all(space == spec.actions[0] for space in spec.actions)
        checks.check(is_alike, f"{kind}.spec.actions", spec.actions, "the same for all agents, for a mean of them")
        super().__init__(spec, policies, units, learning_rate)

    def n_features(self, agent_index: int) -> int:
        """See `NetworkCritic.n_features`."""
        return encoders.size(self.spec.observations[agent_index]) + encoders.size(self.spec.actions[agent_index])

    def features(self, trajectory: Trajectory, agent_index: int) -> tf.Tensor:
        """See `NetworkCritic.features`."""
        space = self.spec.observations[agent_index]
        seen = encoders.encode(space, self.spec.dtype, trajectory.observations[agent_index])
        others = joint_features.done_by_others(self.spec, trajectory, agent_index)
        return tf.concat([seen, tf.add_n(others) / float(len(others))], axis=-1)
