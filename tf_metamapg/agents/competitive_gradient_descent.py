"""Competitive gradient descent (Schäfer & Anandkumar 2019): the equilibrium of the game as it is around θ."""

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import descriptions
from tf_metamapg import links
from tf_metamapg.agents import anticipation
from tf_metamapg.agents import game_jacobian
from tf_metamapg.contracts import Params
from tf_metamapg.numerics import linear

_MAX_PARAMETERS = 4096


class CompetitiveGradientDescent(anticipation.Anticipating):
    """zᵢ of (I − η Hₒ) z = ξ, where ξ = (∇ᵢVⁱ)ᵢ and Hₒ is H_ij = ∇ⱼ∇ᵢVⁱ without the blocks i = j.

    Where each agent i climbs ⟨∇ᵢVⁱ, dᵢ⟩ + Σ_{j≠i} ⟨dᵢ, H_ij dⱼ⟩ − |dᵢ|²/2η and knows that all others do, d = η z is the
    equilibrium. In zero-sum games of two agents there always is one. LookAhead's ξ + η Hₒ ξ is its first order in η.
    Made for exact gradients: the inverse of a sampled matrix is biased.
    """

    def gradients(self, objectives: links.Objectives, agent_index: int) -> Params:
        """See `GradientAgent.gradients`; the equation of each seed and task is solved in float64."""
        checks.check_agent_index("agent_index", agent_index, len(objectives.by_agent))
        joint_params = objectives.link.joint_params
        sizes = [game_jacobian.flattened(params).shape[-1] for params in joint_params]
        n_params = sum(sizes)
        checks.check(
            n_params <= _MAX_PARAMETERS, "policies", descriptions.Text(f"{n_params} parameters of all agents"),
            f"of at most {_MAX_PARAMETERS} for {type(self).__name__}, which needs their square",
        )
        naive = game_jacobian.flattened(game_jacobian.simultaneous_gradient(objectives))
        owners = tf.repeat(tf.range(len(sizes)), sizes)
        is_own = owners[:, tf.newaxis] == owners
        others = tf.where(is_own, tf.zeros([], naive.dtype), game_jacobian.matrix(objectives))
        equations = tf.eye(n_params, dtype="float64") - self._assumed_learning_rate * tf.cast(others, "float64")
        solution = linear.solve(equations, tf.cast(naive, "float64")[..., tf.newaxis])[..., 0]
        return game_jacobian.unflattened(tf.cast(solution, naive.dtype), joint_params)[agent_index]
