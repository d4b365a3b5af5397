"""Shaping in the coin game from samples, beside what is published; see `coin_game_learners.py` for who learns."""

from collections.abc import Iterable
import functools
import pathlib

import numpy as np

from tf_metamapg.reproductions import coin_game_learners
from tf_metamapg.reproductions import protocols
from tf_metamapg.reproductions import results
from tf_metamapg.runs import files

# Mean reward per step in self-play, against always cooperating and against always defecting, and the share of own
# coins, as the league of Aghajohari et al. 2024 and its successors have released them.
PUBLISHED = {
    "LOQA": (".316 ± .018", ".352", "−.054", ".954"), "POLA": (".188 ± .136", ".375", "−.032", ".74"),
    "Advantage Alignment": (".253 ± .039", ".447", "−.103", ".84"),
    "Advantage Alignment, later baseline": (".282 ± .046", ".349", "−.084", ".89"),
    "M-FOS": (".00", ".319", "−.42", ".50"),
}

# Who learns critics beside policies.
ADVANTAGES = ("Advantage Alignment", "LOQA")


def reproduce(
    directory: files.PathLike, names: Iterable[tuple[str, str]] = tuple(coin_game_learners.LEARNERS)
) -> None:
    """Runs all learners, or those that have not been run yet, and writes the results.

    Args:
        directory: where to.
        names: which of `coin_game_learners.LEARNERS`.
    """
    runs = pathlib.Path(directory) / "runs"
    learned = {
        (name, kind): protocols.computed_once(
            runs, f"{kind} {name} {coin_game_learners.LEARNERS[name, kind].n_seeds} seeds",
            coin_game_learners.settings(name, kind), functools.partial(coin_game_learners.learn, name, kind),
            coin_game_learners.Learned,
        ) for name, kind in names
    }
    rows = [
        [*key, seed, f"{of.n_steps[point]:.0f}", f"{of.own_shares[seed, point]:.9g}", f"{of.rewards[seed, point]:.9g}"]
        for key, of in learned.items() for seed, point in np.ndindex(of.own_shares.shape)
    ] + [
        [*key, seed, f"{of.n_steps_used:.0f}", f"{of.last_share[seed]:.9g}", f"{of.last_rewards[seed].mean():.9g}"]
        for key, of in learned.items() for seed in range(len(of.last_share))
    ]
    header = ["learner", "policy", "seed", "environment_steps", "own_share", "average_reward"]
    results.save(directory, _figure(learned), header, rows, _text(learned))


def _text(learned):
    table = []
    for (name, kind), of in learned.items():
        learner = coin_game_learners.LEARNERS[name, kind]
        meta = f"{learner.n_meta_updates} meta-updates, then " if learner.n_meta_updates else ""
        table.append([
            name, kind, f"{meta}{learner.n_updates}", _scientific(of.n_steps_used),
            results.with_interval(of.last_share),
            ", ".join(f"{share:.3f}" for share in sorted(of.last_share)),
            results.with_interval(of.last_rewards.mean(axis=-1)),
            *(f"{results.signed(own.mean())} / {results.signed(others.mean())}"
              for own, others in np.moveaxis(of.against, 0, -1)),
        ])
    return (
        results.paragraph(
            "Two players of one kind, by LOLA's rules, under which red is the first to take a coin, T =",
            f"{coin_game_learners.HORIZON}, γ = {coin_game_learners.DISCOUNT}. Tabular policies see the board and who",
            "took the last coin of each colour, 1,152 observations, and start from",
            f"N(0, {coin_game_learners.INITIAL_STDDEV}²); recurrent ones, GRUs of {coin_game_learners.UNITS} units,",
            "see images. Environment steps are those of one seed, imagined ones as well; others have used 25,600 for",
            "an update (LOQA, Advantage Alignment) and 2.5·10¹⁰ in all (POLA). In the end all is measured from",
            f"{coin_game_learners.N_PLAYED:,} fresh trajectories of each seed and pair of players: own coins are the",
            "share of all coins taken that their owner takes, by count, and a reward is per step, in self-play the",
            "mean of both players. Against who always cooperates (takes its own coins alone) and who always defects",
            "(takes every coin): the learner's reward / the other's, as red and as blue, without learning on. Means",
            "± 95% intervals over seeds. Steps of tables are of the order of those with exact gradients, and how many",
            "samples LOLA (a) takes was chosen by trials with seeds 10 to 12. Recurrent policies take Adam's steps; of",
            "η, 1 and 0.1 were tried with the seeds of the table, and 0.1 is shown. The figure shows what is learned",
            "from, of Meta-MAPG the last links of its chains in meta-training.",
        )
        + results.paragraph(
            "Advantage Alignment and LOQA learn critics beside their policies. Steps and weights are of the order of",
            "those that did where values are exact and λ = 0, among four settings of Advantage Alignment, with seed",
            "10, and ten of LOQA, with seeds 10 and 11. That critics take steps of 0.001 was not tried against others",
            "at the same step and weight. From samples these were tried with seeds 10 and 11, each by step, weight, λ,",
            "and critic steps for one of the policy. Advantage Alignment: 100, 1, 0, 5; 100, 0.5, 0.5, 5; 50, 1, 0,",
            "10, these of 0.002; 50, 1, 0.5, 10, which is shown. LOQA: 50, 1, 0, 5; 50, 0.7, 0.5, 5, which is shown.",
            "Those of what is shown were stopped after 9 and 12 updates for want of time. With recurrent policies",
            "Advantage Alignment had two short trials, Adam's steps 0.005 and weight 1, and 0.002 and 0.2.",
            "Numbers of updates were fixed before. Own coins while they learn, in the mean over seeds, at the most, at",
            "the least after that, and before the last update:",
            "; ".join(_turns(name, learned) for name in ADVANTAGES) + ".",
        )
        + results.markdown_table(
            ["learner", "policy", "updates", "environment steps", "own coins", "of each seed", "reward",
             *(f"against {fixed}" for fixed in coin_game_learners.FIXED)], table,
        )
        + "\n"
        + results.paragraph(
            "Published, by POLA's rules, under which both may take a coin, of networks that see images, T = 50: what",
            "the leagues of Aghajohari et al. 2024 and Duque et al. 2024 have released; ± is the standard deviation",
            "over seeds. POLA's own figure is .82 own coins, and .505 for LOLA-DiCE. Rules and policies are others",
            "than above.",
        )
        + results.markdown_table(
            ["published", "reward", "against always cooperate", "against always defect", "own coins"],
            [[name, *numbers] for name, numbers in PUBLISHED.items()],
        )
    )


def _turns(name, learned):
    """When a tabular learner has the most own coins, when the least after that, and what it has at last."""
    if (name, "tabular") not in learned:
        return f"{name} was not run"
    means = learned[name, "tabular"].own_shares.mean(axis=0)
    most = int(np.argmax(means))
    least = most + int(np.argmin(means[most:]))
    return (
        f"{name} {means[most]:.3f} after {most} updates, {means[least]:.3f} after {least}, {means[-1]:.3f} after "
        f"{len(means) - 1}"
    )


def _scientific(number):
    """As text, such as 4.9·10⁷."""
    mantissa, exponent = f"{number:.1e}".split("e")
    return f"{mantissa}·10{str(int(exponent)).translate(str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def _figure(learned):
    figure, panels = results.new_figure(11.0, 3.8, n_panels=2)
    for panel, what, label in (
        (panels[0], lambda of: of.own_shares, "share of own coins"),
        (panels[1], lambda of: of.rewards, "mean reward per step"),
    ):
        for (name, kind), of in learned.items():
            shown = slice(1, coin_game_learners.LEARNERS[name, kind].n_meta_updates or None)
            results.draw_mean(
                panel, of.n_steps[shown], what(of)[:, shown], f"{name}, {kind}", results.COLOURS[name],
                linestyle="-" if kind == "tabular" else "--", marker="o" if name == "LOLA-DiCE" else "",
                markersize=3, markevery=0.1,
            )
        panel.set_xscale("log")
        panel.set_xlabel("environment steps of a seed")
        panel.set_ylabel(label)
        panel.grid(alpha=0.3)
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside right upper", fontsize=8,
        title="mean and 95%\ninterval over seeds", title_fontsize=8,
    )
    return figure
