"""What estimators from trajectories are made of: what plays the game, and what gives the baselines."""

from collections.abc import Callable
from collections.abc import Sequence

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import contracts


def simulator_and_critic(
    kind: str, game: contracts.AnyGame, policies: Sequence[contracts.StepPolicy], n_trajectories: int, horizon: int,
    simulator: Callable[..., contracts.Simulator], critic: Callable[..., contracts.Critic],
) -> tuple[contracts.Simulator, contracts.Critic]:
    """What `simulator` and `critic` make, after a look at what they are made for.

    Args:
        kind: the name of the estimator.
        game, policies, n_trajectories, horizon, simulator, critic: see `SampledEstimator`.

    Raises:
        InvalidInputError: if one of these does not hold.
    """
    contracts.check_kind(f"{kind}.game", game, contracts.AnyGame, "a game")
    arguments.check_policies(
        f"{kind}.policies", policies, contracts.StepPolicy,
        "a policy that acts step by step, such as tabular_policy(game, agent_index) makes", game.spec,
    )
    checks.check_integer(f"{kind}.n_trajectories", n_trajectories, minimum=1)
    checks.check_integer(f"{kind}.horizon", horizon, minimum=1)
    made_simulator = arguments.made(
        f"{kind}.simulator", simulator, (game, policies, n_trajectories, horizon), contracts.Simulator,
        "a simulator, such as InGraphSimulator",
    )
    made_critic = arguments.made(
        f"{kind}.critic", critic, (game.spec, policies), contracts.Critic, "a critic, such as LeaveOneOutBaseline",
    )
    return made_simulator, made_critic
