"""An agent that does not learn."""

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg.agents.naive import PolicyGradient


class Fixed(PolicyGradient):
    """Keeps the policy that it starts with."""

    def __init__(self):
        super().__init__(inner_learning_rate=0.0)

    def gradients(self, objectives, agent_index):
        """Zeros; see `PolicyGradient.gradients`."""
        checks.check_agent_index("agent_index", agent_index, len(objectives.by_agent))
        return tuple(map(tf.zeros_like, objectives.link.joint_params[agent_index]))
