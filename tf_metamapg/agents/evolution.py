"""Evolution strategies (Salimans et al. 2017): meta-gradients of agents that nothing is differentiated for."""

import abc
from collections.abc import Callable
from collections.abc import Sequence

import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import carrying
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg import links
from tf_metamapg import theorem
from tf_metamapg.contracts import AgentState
from tf_metamapg.contracts import MetaGradients
from tf_metamapg.contracts import MetaParams
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Structure
from tf_metamapg.numerics import random


class EvolvedAgent(descriptions.Described, abc.ABC):
    """Its meta-gradient is that of its meta-value F smoothed by noise, by antithetic evolution strategies,

        mean_m ε_m (F(x + σ ε_m) − F(x − σ ε_m)) / 2σ,   x = (θⁱ, w),   ε_m ~ N(0, I),

    where each F is that of chains of their own, with the same tasks and random numbers, and w is what its updates are
    made with, the same for all. It stands in the current-policy term, and the other terms are zero.

    Attributes:
        is_meta_agent: True.
        plays_ahead: False.
        reads_others: whether its update depends on the others' parameters, beside what was sampled.
    """

    is_meta_agent = True
    plays_ahead = reads_others = False

    def __init__(
        self, n_perturbations: int = 16, stddev: float = 0.1,
        value_weights: Callable[[int], Sequence[float]] = theorem.mean_over_chain,
    ) -> None:
        """
        Args:
            n_perturbations: how many ε are drawn for each meta-gradient, ≥ 1; there are two chains for each.
            stddev: σ > 0, in units of parameters.
            value_weights: of the meta-value, see `MetaAgent`.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        kind = type(self).__name__
        checks.check_integer(f"{kind}.n_perturbations", n_perturbations, minimum=1)
        checks.check_positive(f"{kind}.stddev", stddev)
        is_function = callable(value_weights) and not isinstance(value_weights, type)
        checks.check(is_function, f"{kind}.value_weights", value_weights, "a function of the chain length")
        self._n_perturbations = n_perturbations
        self._stddev = stddev
        self._value_weights = value_weights

    @abc.abstractmethod
    def update(
        self, state: AgentState, objectives: links.Objectives, agent_index: int, step_params: Structure
    ) -> AgentState:
        """See `contracts.Agent.update`; `step_params` are w, leaves [S, ...]."""

    def init(self, params: Params, estimator: contracts.Estimator, agent_index: int) -> AgentState:
        """See `contracts.Agent.init`: the parameters, [S, N, ...], and nothing else."""
        del estimator, agent_index
        return AgentState(params)

    def meta_gradients(self, chain: adaptation.Chain, agent_index: int) -> MetaGradients:
        """See `contracts.Agent.meta_gradients`."""
        adaptation.check_chain(chain, agent_index)
        parameter = f"{type(self).__name__}.value_weights"
        weights = theorem.chain_weights(parameter, self._value_weights, len(chain.links) - 1)
        own = MetaParams(
            tuple(leaf[:, 0] for leaf in chain.links[0].agent_states[agent_index].params),
            tuple(leaf[:, 0] for leaf in chain.update_params[agent_index]),
        )
        noise = self.noise(chain.links[0].keys, own, agent_index)  # leaves [S, M, ...]
        shifts = tf.nest.map_structure(lambda leaf: self._stddev * tf.concat([leaf, -leaf], axis=1), noise)
        above, below = tf.split(self._meta_values(chain, agent_index, shifts, weights), 2, axis=1)
        slopes = (above - below) / (2.0 * self._stddev * self._n_perturbations)  # [S, M]
        initial, update = tf.nest.map_structure(lambda leaf: tf.einsum("sm,sm...->s...", slopes, leaf), noise)
        initial = carrying.without_carried(chain.estimator.policies[agent_index], initial)
        found = MetaParams(initial, tuple(
            tf.broadcast_to(leaf[:, tf.newaxis], like.shape)
            for leaf, like in zip(update, chain.update_params[agent_index])
        ))
        zeros = tf.nest.map_structure(tf.zeros_like, found)
        return MetaGradients(found, zeros, zeros)

    def noise(self, keys: tf.Tensor, own: MetaParams, agent_index: int) -> MetaParams:
        """ε: leaves [S, M, ...] like meta-parameters [S, ...], from the keys [S, 2] of the first link."""
        leaves = tf.nest.flatten(own)
        sizes = [leaf.shape[1:].num_elements() for leaf in leaves]
        keys = random.perturbation_keys(keys, agent_index)
        drawn = random.normals(keys, [self._n_perturbations, sum(sizes)], leaves[0].dtype)
        parts = tf.split(drawn, sizes, axis=-1)
        return tf.nest.pack_sequence_as(own, [
            tf.reshape(part, [*part.shape[:2], *leaf.shape[1:]]) for part, leaf in zip(parts, leaves)
        ])

    def _meta_values(
        self, chain: adaptation.Chain, agent_index: int, shifts: MetaParams, weights: Sequence[float]
    ) -> tf.Tensor:
        """F of each shift of the meta-parameters, leaves [S, m, ...], with weights w_0..w_L of its links: [S, m].

        All are side by side as seeds.
        """
        n_seeds, n_shifts = tf.nest.flatten(shifts)[0].shape[:2]

        def repeated(structure: Structure) -> Structure:
            return tf.nest.map_structure(lambda leaf: tf.repeat(leaf, n_shifts, axis=0), structure)

        def shifted(leaves: Params, own_shifts: Params) -> Params:
            """Leaves [S, N or L, ...]."""
            flat = [tf.reshape(shift, [n_seeds * n_shifts, *shift.shape[2:]]) for shift in own_shifts]
            return tuple(leaf + shift[:, tf.newaxis] for leaf, shift in zip(repeated(leaves), flat))

        joint_params, update_params = repeated(chain.links[0].joint_params), repeated(chain.update_params)
        joint_params, update_params = list(joint_params), list(update_params)
        joint_params[agent_index] = shifted(chain.links[0].joint_params[agent_index], shifts.initial)
        update_params[agent_index] = shifted(chain.update_params[agent_index], shifts.update)
        tasks = repeated(chain.tasks)
        found = adaptation.extend(
            chain.estimator, chain.agents, update_params, tasks,
            adaptation.initial_states(chain.agents, tuple(joint_params), chain.estimator),
            [repeated(link.keys) for link in chain.links], critic_params=repeated(chain.links[0].critic_params),
            compile_fn=chain.compile_fn,
        )
        total = tf.zeros([], chain.estimator.spec.dtype)
        for weight, link in zip(weights, found):
            if weight:
                total += weight * chain.estimator.values(link.joint_params, tasks, link.sample)[agent_index]
        return tf.reshape(tf.reduce_mean(total, axis=1), [n_seeds, n_shifts])
