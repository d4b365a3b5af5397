"""An agent that remembers where it was going."""

import gin
import tensorflow as tf

import tf_metamapg as mapg


@gin.configurable
class Cautious(mapg.GradientAgent):
    """Follows a running mean of its gradients, and no step is longer than one in any parameter: θ + α tanh(m)."""

    def __init__(self, inner_learning_rate=1.0, decay=0.5):
        super().__init__(inner_learning_rate)
        self._decay = decay

    def gradients(self, objectives, agent_index):
        return objectives.gradients(agent_index, with_respect_to=agent_index)

    def init(self, params, estimator, agent_index):
        return mapg.AgentState(params, tuple(map(tf.zeros_like, params)))

    def update(self, state, objectives, agent_index, step_params):
        gradients = self.gradients(objectives, agent_index)
        means = tuple(self._decay * m + (1.0 - self._decay) * g for m, g in zip(state.extra, gradients))
        return mapg.AgentState(self.stepped(state.params, tuple(map(tf.tanh, means)), step_params), means)
