"""Public goods among three, four and five players: what one, two and as many meta-agents as there are players reach."""

from collections.abc import Sequence

import numpy as np

from tf_metamapg.reproductions import protocols
from tf_metamapg.reproductions import results
from tf_metamapg.runs import files

PLAYERS = (3, 4, 5)
# Of what a player gives, everybody gets this share: more would make it no dilemma, much less would make it hopeless.
RETURN = 0.6
STEP, STDDEV = 2.0, 0.5
NAIVE = "PolicyGradient"
# Who plays, from the first player on; the others are naive.
GROUPS = {
    "naive": lambda n_players: [NAIVE] * n_players,
    "1 Meta-MAPG": lambda n_players: ["MetaMAPG"] + [NAIVE] * (n_players - 1),
    "2 Meta-MAPG": lambda n_players: ["MetaMAPG"] * 2 + [NAIVE] * (n_players - 2),
    "all Meta-MAPG": lambda n_players: ["MetaMAPG"] * n_players,
    "all Meta-PG": lambda n_players: ["MetaPG"] * n_players,
}
# Each is evaluated as it learns: from samples the inner updates are estimated in the test, too.
ESTIMATORS = {
    "exact": (),
    "sampled": (
        "train.estimator = @LoadedDiceEstimator", "LoadedDiceEstimator.n_trajectories = 64",
        "LoadedDiceEstimator.horizon = 50", "LoadedDiceEstimator.critic = @LeaveOneOutBaseline",
    ),
}
N_META_UPDATES, N_TASKS = 100, 32
PROTOCOL = (
    "train.n_seeds = 10", f"train.n_meta_updates = {N_META_UPDATES}", f"train.n_evaluation_tasks = {N_TASKS}",
)
_STYLES = {"exact": "-", "sampled": "--"}
_MARKERS = {"exact": "s", "sampled": "x"}


def runs(
    players: Sequence[int] = PLAYERS, estimators: Sequence[str] = tuple(ESTIMATORS), bindings: Sequence[str] = (),
) -> dict[tuple[int, str, str], protocols.Run]:
    """What is trained, by how many players there are, the estimator and the group; see `reproduce`."""
    return {
        (n_players, estimator, group): protocols.Run(
            f"{n_players}_{estimator}_{group.replace(' ', '_')}", "public_goods_five",
            (*PROTOCOL, *_bindings(n_players, agents(n_players)), *ESTIMATORS[estimator], *bindings),
        )
        for n_players in players for estimator in estimators for group, agents in GROUPS.items()
    }


def reproduce(
    directory: files.PathLike, players: Sequence[int] = PLAYERS, estimators: Sequence[str] = tuple(ESTIMATORS),
    bindings: Sequence[str] = (),
) -> None:
    """Trains and evaluates all groups as `public_goods_five.gin` says, for so many players, and writes the results.

    Args:
        directory: where to.
        players: how many there are.
        estimators: which of `ESTIMATORS`.
        bindings: gin bindings that come after those of the protocol.
    """
    curves = protocols.meta_test_curves(protocols.train(directory, runs(players, estimators, bindings)))
    rows = [
        [*key, seed, update, player, f"{reward:.9g}"]
        for key, rewards in curves.items() for (seed, update, player), reward in np.ndenumerate(rewards)
    ]
    header = ["players", "estimator", "group", "seed", "inner_updates", "player", "average_reward"]
    results.save(directory, _figure(curves), header, rows, _text(curves))


def _bindings(n_players, agents):
    kinds = sorted({*agents})
    return (
        f"public_goods.n_agents = {n_players}", f"public_goods.multiplier = {RETURN * n_players:.9g}",
        f"IteratedMatrixGame.name = 'public goods of {n_players}'",
        f"train.policies = [{', '.join(['@tabular_policy'] * n_players)}]",
        f"train.agents = [{', '.join(f'@{agent}()' for agent in agents)}]",
        # Naive players are drawn anew for every task.
        f"train.populations = [{', '.join('@NormalPolicies' if agent == NAIVE else 'None' for agent in agents)}]",
        *([f"NormalPolicies.stddev = {STDDEV}"] if NAIVE in agents else []),
        *(f"{kind}.inner_learning_rate = {STEP}" for kind in kinds),
    )


def _best(n_players):
    """What each player gets if all give."""
    return RETURN * n_players - 1.0


def _text(curves):
    table = []
    for (n_players, estimator, group), rewards in curves.items():
        is_meta = np.array([agent != NAIVE for agent in GROUPS[group](n_players)])
        before, after = rewards[:, 0].mean(axis=-1), rewards[:, 1].mean(axis=-1)
        table.append([
            str(n_players), estimator, group, results.signed(_best(n_players)), results.with_interval(before),
            results.with_interval(after), results.signed(after.min()),
            *(
                results.with_interval(rewards[:, 1, who].mean(axis=-1)) if who.any() else ""
                for who in (is_meta, ~is_meta)
            ),
        ])
    n_seeds = len(next(iter(curves.values())))
    return (
        results.paragraph(
            "Each player gives 1 or nothing, round after round, and has seen what all gave in the last round; of what",
            f"a player gives, everybody gets {RETURN}: who gives alone loses {1 - RETURN:.1f}, and if all of n give,",
            f"each gets {RETURN} n − 1 per round. γ = 0.96, payoffs with noise U(−0.1, 0.1), tabular policies, of",
            f"naive players from N(0, {STDDEV}²), drawn anew for every task. All learn once, by one naive step of size",
            f"{STEP:g}; meta-agents have learned for that in {N_META_UPDATES} meta-updates. Mean rewards per step on",
            f"{N_TASKS} held-out tasks per seed, {n_seeds} seeds, with 95% intervals over seeds; in the worst seed the",
            "players together get least.",
        )
        + results.markdown_table(
            [
                "players", "gradients", "group", "if all give", "before", "after one update", "worst seed",
                "of which meta-agents", "naive players",
            ],
            table,
        )
    )


def _figure(curves):
    players = sorted({n_players for n_players, *_ in curves})
    figure, panels = results.new_figure(3.4 * len(players) + 1.6, 3.4, n_panels=len(players), sharey=True)
    for panel, n_players in zip(panels, players):
        for estimator in ESTIMATORS:
            shares = {
                group: rewards[:, 1].mean(axis=-1) / _best(n_players)
                for (number, kind, group), rewards in curves.items() if (number, kind) == (n_players, estimator)
            }
            if not shares:
                continue
            numbers = {"naive": 0, "1 Meta-MAPG": 1, "2 Meta-MAPG": 2, "all Meta-MAPG": n_players}
            results.draw_mean(
                panel, [*numbers.values()], np.stack([shares[group] for group in numbers], axis=-1),
                f"Meta-MAPG, {estimator}", results.COLOURS["Meta-MAPG"], linestyle=_STYLES[estimator], marker="o",
                markersize=4,
            )
            panel.plot(
                [n_players], [shares["all Meta-PG"].mean()], color=results.COLOURS["Meta-PG"], linestyle="none",
                marker=_MARKERS[estimator], label=f"Meta-PG, {estimator}",
            )
        panel.set_title(f"{n_players} players", fontsize=10)
        panel.set_xlabel("meta-agents")
        panel.set_xticks(range(n_players + 1))
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("mean reward after one update,\nas a share of what all giving pays")
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside right upper", fontsize=8,
        title="mean and 95%\ninterval over seeds", title_fontsize=8,
    )
    return figure
