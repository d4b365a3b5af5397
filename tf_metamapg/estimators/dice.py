"""DiCE surrogates, and the estimator of *expected* inner updates (Eq. 3) from samples.

Here the inner update is the deterministic function φ(θ) of Eq. 3 as written, and its
derivative must account for θ changing the distribution of the trajectories. DiCE (Foerster et al.
2018) does so to any order, provided that the log-probabilities of *all* agents are among its
dependencies: with an agent's own alone, opponent-shaping would silently be zero. The current-policy
term is zero. For K trajectories the bias is O(1/K), from plugging an estimated φ in.
"""

from collections.abc import Callable
from collections.abc import Sequence

import tensorflow as tf

from tf_metamapg import contracts
from tf_metamapg.contracts import Structure
from tf_metamapg.critics.baselines import LeaveOneOutBaseline
from tf_metamapg.estimators.expected import ExpectedUpdateEstimator
from tf_metamapg.estimators.magic_box import magic_box
from tf_metamapg.numerics import returns
from tf_metamapg.simulators.in_graph import InGraphSimulator


def dice_surrogates(
    joint_log_probs: tf.Tensor, step_weights: Sequence[tuple[tf.Tensor, tf.Tensor]]
) -> tuple[tf.Tensor, ...]:
    """Surrogates whose values and all of whose derivatives are those of the agents' values.

    mean_k Σ_t [□(Σ_{t' ≤ t} l_t') γ^t r_t + (1 − □(l_t)) γ^t b_t], Foerster et al. 2018. The baseline lowers the
    variance of first derivatives only; `loaded_dice.py` has one for all.

    Args:
        joint_log_probs: tensor [S, N, K, T], l_t = Σ_i log π^i(a_t|o_t), the sum over all agents.
        step_weights: tuple over agents of pairs of tensors [S, N, K, T], γ^t r_t and γ^t b_t, with b_t the
            baselines; held constant.

    Returns:
        tuple over agents of tensors [S, N], the mean returns; differentiable any number of times in
        `joint_log_probs`.
    """
    until_now, now = magic_box(returns.cumulative_sums(joint_log_probs)), magic_box(joint_log_probs)
    surrogates = []
    for rewards, own_baselines in step_weights:
        per_step = until_now * tf.stop_gradient(rewards) + (1.0 - now) * tf.stop_gradient(own_baselines)
        surrogates.append(tf.reduce_mean(tf.reduce_sum(per_step, axis=-1), axis=-1))
    return tuple(surrogates)


class DiceEstimator(ExpectedUpdateEstimator):
    """DiCE: *expected* inner updates, from samples."""

    def __init__(
        self, game: contracts.AnyGame, policies: Sequence[contracts.StepPolicy], n_trajectories: int = 64,
        horizon: int = 150, critic: Callable[..., contracts.Critic] = LeaveOneOutBaseline,
        simulator: Callable[..., contracts.Simulator] = InGraphSimulator,
    ) -> None:
        """See `SampledEstimator`; the mean return is what it is, so there is no λ."""
        super().__init__(game, policies, n_trajectories, horizon, critic, simulator=simulator)

    def step_weights(self, rewards: tf.Tensor, baselines: tf.Tensor) -> Structure:
        """See `SampledEstimator.step_weights`."""
        return self.discounted(rewards), self.discounted(baselines)

    def surrogates(
        self, log_probs: tuple[tf.Tensor, ...], step_weights: tuple[Structure, ...]
    ) -> tuple[tf.Tensor, ...]:
        """See `SampledEstimator.surrogates`."""
        return dice_surrogates(tf.add_n(log_probs), step_weights)
