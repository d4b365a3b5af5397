"""DiCE with a counterfactual baseline for the own action, and derivatives of every order without a bias.

A baseline bⁱ(s_t, a_t⁻ⁱ) knows what the others do at the same step (Foerster et al. 2017b). What it is subtracted with
must then know it, too: □(l_{<t} + l_t⁻ⁱ) (□(l_tⁱ) − 1) bⁱ_t has expectation zero for every θ, as □(l_tⁱ) − 1 has for
given actions of the others, whereas (□(l_t) − 1) bⁱ_t, as in Loaded DiCE, has not in the others' parameters. Here
l_t⁻ⁱ = Σ_{j≠i} l_tʲ. To the others' part of a step belongs a baseline vⁱ_t that does not know what they do.
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


def counterfactual_dice_surrogates(
    log_probs: Sequence[tf.Tensor], step_weights: Sequence[tuple[tf.Tensor, tf.Tensor, tf.Tensor]]
) -> tuple[tf.Tensor, ...]:
    """Surrogates whose values and all of whose derivatives are those of the agents' values.

    mean_k Σ_t γ^t [□(l_{≤t}) (r_t − bⁱ_t) + □(l_{<t} + l_t⁻ⁱ) (bⁱ_t − vⁱ_t) + □(l_{<t}) vⁱ_t]: as if the others acted
    first, and the agent then. With b = v it is Loaded DiCE (Farquhar et al. 2019), with b = v = 0 DiCE (Foerster et al.
    2018).

    Args:
        log_probs: tuple over agents of tensors [S, N, K, T], l_tⁱ = log π^i(a_t|o_t).
        step_weights: tuple over agents of triples of tensors [S, N, K, T], γ^t r_t, γ^t bⁱ_t and γ^t vⁱ_t, held
            constant.

    Returns:
        tuple over agents of tensors [S, N], the mean returns; differentiable any number of times in `log_probs`.
    """
    now = tf.add_n(log_probs)
    until_now = returns.cumulative_sums(now)
    after, before = magic_box(until_now), magic_box(until_now - now)
    surrogates = []
    for own_log_probs, own_weights in zip(log_probs, step_weights):
        rewards, baselines, others_baselines = map(tf.stop_gradient, own_weights)
        between = magic_box(until_now - own_log_probs)
        per_step = after * (rewards - baselines) + between * (baselines - others_baselines) + before * others_baselines
        surrogates.append(tf.reduce_mean(tf.reduce_sum(per_step, axis=-1), axis=-1))
    return tuple(surrogates)


class CounterfactualDiceEstimator(ExpectedUpdateEstimator):
    """DiCE with a counterfactual baseline, such as `CounterfactualBaseline`: *expected* inner updates, from samples.

    Its critic is for an agent's own part of each step, and may see the others' actions. For the others' part it has the
    mean return to go of the other trajectories at the same time.
    """

    accepts_critics_that_see_other_actions = True

    def __init__(
        self, game: contracts.AnyGame, policies: Sequence[contracts.StepPolicy], n_trajectories: int = 64,
        horizon: int = 150, critic: Callable[..., contracts.Critic] = LeaveOneOutBaseline,
        simulator: Callable[..., contracts.Simulator] = InGraphSimulator,
    ) -> None:
        """See `SampledEstimator`; the mean return is what it is, so there is no λ."""
        super().__init__(game, policies, n_trajectories, horizon, critic, simulator=simulator)

    def step_weights(self, rewards: tf.Tensor, baselines: tf.Tensor) -> Structure:
        """See `SampledEstimator.step_weights`."""
        to_go = returns.returns_to_go(rewards, self.spec.discount)
        others_baselines = returns.leave_one_out_mean(to_go, axis=-2)
        return self.discounted(rewards), self.discounted(baselines), self.discounted(others_baselines)

    def surrogates(
        self, log_probs: tuple[tf.Tensor, ...], step_weights: tuple[Structure, ...]
    ) -> tuple[tf.Tensor, ...]:
        """See `SampledEstimator.surrogates`."""
        return counterfactual_dice_surrogates(log_probs, step_weights)
