"""Categorical policies over finitely many observations: Keras models used functionally.

The interface of a policy, which every floor above relies on:

    initial_params(seeds)                      Params [S, ...] from integer seeds
    distribution(params, observations)         a TensorFlow Probability distribution of actions
    sampler(params)                            samples actions from uniform numbers
    log_probs(params, observations, actions)   scores actions; differentiable in params
    model()                                    a Keras model, to be given parameters and exported

`params` always come from outside: the model's own variables are never read or assigned here, so that
a gradient can flow through parameters that an inner update has computed.
"""

import tensorflow as tf

from tf_metamapg.policies.distributions import Categorical
from tf_metamapg.policies.functional import functional_call


class CategoricalPolicy:
    """A memoryless policy that sees one of finitely many observations.

    Since there are few observations, their action probabilities are computed once and looked up for
    each step, whatever the model is.

    Attributes:
        n_observations: how many observations there are.
        n_actions: A.
    """

    def __init__(self, build_model, n_observations, n_actions):
        """
        Args:
            build_model: function of an integer seed that returns a built Keras model, fit for
                `functional_call`. It maps int32 observations [B] to logits [B, n_actions].
            n_observations: observations are in [0, n_observations).
            n_actions: A.
        """
        self._build_model = build_model
        self._model = build_model(seed=0)
        self.n_observations = n_observations
        self.n_actions = n_actions

    def model(self):
        """A new Keras model of this policy, with variables of its own."""
        return self._build_model(seed=0)

    def initial_params(self, seeds):
        """Initial parameters, as the model's initializers draw them.

        Args:
            seeds: S integers; the parameters of a seed depend on that seed alone.

        Returns:
            Params with leaves [S, ...].
        """
        models = [self._build_model(seed=seed) for seed in seeds]
        leaves = zip(*(model.trainable_variables for model in models))
        return tuple(tf.stack([variable.numpy() for variable in leaf]) for leaf in leaves)

    def logits(self, params):
        """The logits for all observations.

        Args:
            params: Params with leaves [S, N, ...].

        Returns:
            tensor [S, N, n_observations, A], differentiable any number of times in `params`.
        """
        return functional_call(self._model, params, tf.range(self.n_observations))

    def action_probs(self, params):
        """π(a|o) for all observations: tensor [S, N, n_observations, A], differentiable in `params`."""
        return tf.nn.softmax(self.logits(params))

    def distribution(self, params, observations):
        """The distribution of actions.

        Args:
            params: Params with leaves [S, N, ...].
            observations: int32 tensor [S, N, ...].

        Returns:
            `Categorical` with the batch shape of `observations`.
        """
        return Categorical(logits=tf.gather(self.logits(params), observations, batch_dims=2))

    def sampler(self, params):
        """A function (observations, uniforms) → actions, all of shape [S, N, K].

        What is the same at every step is computed once, here.
        """
        probs = self.action_probs(params)

        def sample(observations, uniforms):
            return Categorical(probs=tf.gather(probs, observations, batch_dims=2)).quantile(uniforms)

        return sample

    def log_probs(self, params, observations, actions):
        """log π(a|o) of given observations and actions.

        Args:
            params: Params with leaves [S, N, ...].
            observations: int32 tensor [S, N, K, T].
            actions: int32 tensor [S, N, K, T].

        Returns:
            tensor [S, N, K, T], differentiable any number of times in `params`.
        """
        table = tf.nn.log_softmax(self.logits(params))
        batch_shape, n_entries = observations.shape[:2], self.n_observations * self.n_actions
        one_hot = tf.one_hot(observations * self.n_actions + actions, n_entries, dtype=table.dtype)
        log_probs = tf.linalg.matvec(
            tf.reshape(one_hot, [*batch_shape, -1, n_entries]), tf.reshape(table, [*batch_shape, n_entries])
        )
        return tf.reshape(log_probs, observations.shape)

