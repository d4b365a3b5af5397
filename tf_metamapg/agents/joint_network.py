"""A network of the parameters of all agents, for agents that judge or choose joint policies."""

import weakref

import tensorflow as tf

from tf_metamapg import contracts
from tf_metamapg.agents import game_jacobian
from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Structure
from tf_metamapg.numerics import random
from tf_metamapg.policies import functional
from tf_metamapg.policies.mlp import MLP


class JointNetwork:
    """f_w(tanh(φ/2)), one hidden layer, where an agent's own parameters come first; w comes from outside."""

    def __init__(self, parameter: str, units: int, n_outputs: int | None = None) -> None:
        """
        Args:
            parameter: what the number of units is called in errors.
            units: of the hidden layer, ≥ 1.
            n_outputs: how many numbers the network gives; by default as many as the agent's policy has parameters.
        """
        self._parameter = parameter
        self._units = units
        self._n_outputs = n_outputs
        # By estimator, a network for each agent.
        self._networks: weakref.WeakKeyDictionary[contracts.Estimator, list[MLP]] = weakref.WeakKeyDictionary()

    def initial(
        self, estimator: contracts.Estimator, agent_index: int, n_seeds: int, chain_length: int
    ) -> Structure:
        """w as it is drawn, the same for all seeds and updates: leaves [S, max(L, 1), ...]."""
        variables = self._network(estimator, agent_index).trainable_variables
        return tuple(
            tf.broadcast_to(variable.value, [n_seeds, max(chain_length, 1), *variable.shape]) for variable in variables
        )

    def __call__(
        self, estimator: contracts.Estimator, joint_params: JointParams, agent_index: int, weights: Params
    ) -> tf.Tensor:
        """f_w(φ): [S, N, n_outputs].

        Args:
            estimator: of the chain.
            joint_params: φ, leaves [S, N, ...].
            agent_index: i, whose network.
            weights: w, leaves [S, ...].
        """
        others = joint_params[:agent_index] + joint_params[agent_index + 1 :]
        seen = tf.tanh(0.5 * game_jacobian.flattened((joint_params[agent_index], *others)))
        network = self._network(estimator, agent_index)
        with functional.bound(network, weights):
            return network(seen)

    def _network(self, estimator: contracts.Estimator, agent_index: int) -> MLP:
        """f of an agent among those of an estimator."""
        if estimator not in self._networks:
            sizes = [
                sum(leaf.shape.num_elements() for leaf in policy.reference_params) for policy in estimator.policies
            ]
            networks = []
            with tf.init_scope():
                for index, size in enumerate(sizes):
                    shape = sum(sizes), self._n_outputs or size, (self._units,)
                    functional.check_size(self._parameter, self._units, MLP.n_params(*shape), estimator.spec.dtype)
                    seed = random.integer_seed(0, 3 * len(sizes) + index)
                    network = MLP(tf.identity, *shape, "tanh", seed, dtype=estimator.spec.dtype)
                    network.build(None)
                    networks.append(network)
            self._networks[estimator] = networks
        return self._networks[estimator][agent_index]


class JointNetworkAgent:
    """What agents have in common whose updates are made with a network of the parameters of all."""

    _network: JointNetwork

    def init_update(
        self, estimator: contracts.Estimator, agent_index: int, n_seeds: int, chain_length: int
    ) -> Structure:
        """w, the same for all seeds and updates: leaves [S, max(L, 1), ...]. See `contracts.Agent.init_update`."""
        return self._network.initial(estimator, agent_index, n_seeds, chain_length)
