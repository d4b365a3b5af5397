"""What a meta-agent loses that leaves out the derivative of its own gradient, in the iterated prisoner's dilemma."""

from collections.abc import Sequence

import numpy as np

from tf_metamapg.reproductions import protocols
from tf_metamapg.reproductions import results
from tf_metamapg.runs import files

AGENTS = {
    "Meta-PG": "MetaPG", "first-order Meta-PG": "FirstOrderMetaPG",
    "Meta-MAPG": "MetaMAPG", "first-order Meta-MAPG": "FirstOrderMetaMAPG",
}
CONFIG = "ipd"
LENGTHS = (1, 3)
N_INNER_UPDATES = 10
SHOWN = (0, 1, 2, 3, 5, 10)


def runs(lengths: Sequence[int] = LENGTHS, bindings: Sequence[str] = ()) -> dict[tuple[str, int], protocols.Run]:
    """What is trained, by the agent's name and L; see `reproduce`."""
    return {
        (name, length): protocols.Run(f"{agent}_{length}", CONFIG, (
            f"train.agents = [@{agent}(), @{agent}()]", f"{agent}.inner_learning_rate = 2.0",
            f"train.chain_length = {length}", f"train.n_inner_updates = {N_INNER_UPDATES}", *bindings,
        ))
        for length in lengths for name, agent in AGENTS.items()
    }


def reproduce(directory: files.PathLike, lengths: Sequence[int] = LENGTHS, bindings: Sequence[str] = ()) -> None:
    """Trains and evaluates all agents in self-play as the config says, and writes the results.

    Args:
        directory: where to; the runs are kept beside the results.
        lengths: L, the inner updates that are trained for.
        bindings: gin bindings that come after those of the protocol.
    """
    curves = protocols.meta_test_curves(protocols.train(directory, runs(lengths, bindings)))
    rows = [
        [name, length, seed, update, *(f"{value:.9g}" for value in rewards[seed, update])]
        for (name, length), rewards in curves.items() for seed, update in np.ndindex(rewards.shape[:2])
    ]
    header = ["agent", "trained_for", "seed", "inner_updates", "reward_of_agent_0", "reward_of_agent_1"]
    means = {key: rewards.mean(axis=2) for key, rewards in curves.items()}
    results.save(directory, _figure(means), header, rows, _text(means))


def _text(means):
    n_seeds, n_links = next(iter(means.values())).shape
    lengths = dict.fromkeys(length for _, length in means)
    shown = [update for update in SHOWN if update < n_links]
    table = [
        [name, str(length), *(results.with_interval(values[:, update]) for update in shown),
         results.signed(values[:, length].min())]
        for (name, length), values in means.items()
    ]
    return (
        results.paragraph(
            f"Two agents of one kind learn initial policies as `{CONFIG}.gin` says, with expected inner updates from",
            f"samples, for {' or '.join(map(str, lengths))} inner updates; then both make naive updates on held-out",
            f"tasks. Mean reward per step of both after some of these, ± 95% interval over {n_seeds} seeds; mutual",
            "cooperation pays −1 and mutual defection −2. First order takes dφⁱ/dθⁱ for the identity: what is left of",
            "Meta-PG are the policy gradients after the updates; of Meta-MAPG these, and what a policy does to the",
            "other's updates.",
            "The last column is of the worst seed, after as many updates as it was trained for.",
        )
        + results.markdown_table(["agent", "trained for", *(f"after {update}" for update in shown), "worst"], table)
    )


def _figure(means):
    lengths = list(dict.fromkeys(length for _, length in means))
    figure, panels = results.new_figure(4.2 * len(lengths) + 0.4, 3.8, n_panels=len(lengths), sharey=True)
    for panel, length in zip(panels, lengths):
        for (name, own_length), values in means.items():
            if own_length == length:
                whole = name.removeprefix("first-order ")
                style = {"marker": "o"} if name == whole else {"marker": "x", "linestyle": "--"}
                results.draw_mean(
                    panel, range(values.shape[1]), values, name, results.COLOURS[whole], markersize=4, **style
                )
        panel.set_title(f"trained for {length} inner update{'s' if length > 1 else ''}", fontsize=10)
        panel.set_xlabel("inner updates")
        panel.set_ylim(-2.1, -0.9)
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("mean reward per step")
    panels[-1].legend(fontsize=8, title="mean and 95% interval", title_fontsize=8)
    return figure
