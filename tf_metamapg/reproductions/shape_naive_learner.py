"""One meta-agent shapes naive learners for a hundred updates of theirs, with exact gradients."""

from collections.abc import Sequence

import numpy as np

from tf_metamapg.reproductions import protocols
from tf_metamapg.reproductions import results
from tf_metamapg.runs import files

# Agents without meta-learning have nothing to learn before they are measured, so that each task has a new one, too.
ORDINARY = ("train.populations = [@NormalPolicies, @NormalPolicies]", "train.n_seeds = 40")
# Who meets the naive learners: its agent, what is different for it in the config, and what is published of the same:
# its reward / that of the learner.
SHAPERS = {
    "naive": ("@PolicyGradient()", ORDINARY, "−1.98"),
    "LOLA (a)": ("@LOLAShaping()", ("LOLAShaping.inner_learning_rate = 1.0", *ORDINARY), ""),
    "LOLA (b)": ("@LOLATaylor()", ("LOLATaylor.inner_learning_rate = 1.0", *ORDINARY), "−1.304 / −1.526"),
    "Meta-PG": (
        "@MetaPG()", ("MetaPG.inner_learning_rate = @LearnedRates()",), "",
    ),
    "Meta-MAPG, initial policy alone": (
        "@MetaMAPG()", ("MetaMAPG.inner_learning_rate = 0.0",), "",
    ),
    "Meta-MAPG": ("@MetaMAPG()", (), ""),
}


def runs(bindings: Sequence[str] = ()) -> dict[str, protocols.Run]:
    """What is trained, by the shaper's name; see `reproduce`."""
    return {
        name: protocols.Run(
            name.lower().translate(str.maketrans(" ", "_", "(),")), "shape_naive_learner",
            (f"train.agents = [{agent}, @PolicyGradient()]", *own_bindings, *bindings),
        )
        for name, (agent, own_bindings, _) in SHAPERS.items()
    }


def reproduce(directory: files.PathLike, bindings: Sequence[str] = ()) -> None:
    """Trains and evaluates all shapers as `shape_naive_learner.gin` says, and writes the results.

    Args:
        directory: where to.
        bindings: gin bindings that come after those of the protocol.
    """
    curves = protocols.meta_test_curves(protocols.train(directory, runs(bindings)))
    rows = [
        [name, seed, update, *(f"{value:.9g}" for value in rewards[seed, update])]
        for name, rewards in curves.items()
        for seed, update in np.ndindex(rewards.shape[:2])
    ]
    results.save(
        directory, _figure(curves), ["shaper", "seed", "updates", "reward_of_shaper", "reward_of_learner"], rows,
        _text(curves),
    )


def _over_updates(curves):
    """The mean of what is got before each update: [S, n_updates + 1, 2] → [S, 2]."""
    return curves[:, :-1].mean(axis=1)


def _text(curves):
    n_links = next(iter(curves.values())).shape[1]
    table = []
    for name, rewards in curves.items():
        by_seed = _over_updates(rewards)
        table.append([
            name, results.with_interval(by_seed[:, 0]), results.signed(by_seed[:, 0].min()),
            results.with_interval(by_seed[:, 1]), results.peak(rewards[:, :, 0]), f"{len(rewards)}",
            SHAPERS[name][2],
        ])
    shift = max(
        np.abs(difference).max() for of in curves.values()
        for own, others in [(_over_updates(of), of[:, 1:].mean(axis=1))]
        for difference in (own.mean(axis=0) - others.mean(axis=0), own[:, 0].min() - others[:, 0].min())
    )
    return (
        results.paragraph(
            f"Mean reward over {n_links - 1} updates of a naive learner, θ ~ N(0, 1), whose step is 1; mean ± 95%",
            "interval over seeds; held-out learners, exact gradients, γ = 0.96. Everything is as",
            "`shape_naive_learner.gin` says, but for the agent; one that learns no initial policy has a new one,",
            "θ ~ N(0, 1), in every task, and a step of 1. LOLA (a) is `LOLAShaping`, LOLA (b) `LOLATaylor`. No policy",
            "can make a learner that looks after itself give more than −0.5 for good.",
        )
        + results.paragraph(
            "Published: the shaper's reward / the learner's, of the same game, steps and initial policies. LOLA is the",
            "full Taylor gradient there, which is (b). Their released code counts rewards from the first update on,",
            f"which would change no mean and no worst seed here by more than {shift:.3f}. One of their agents has no",
            "like here: M-MAML (−1.26), a Meta-MAPG that plays with own steps of 1. M-FOS (−0.51), which chooses a",
            "new policy after every update, has a result of its own, `m_fos_ipd`.",
        )
        + results.markdown_table(
            [
                "shaper", "its reward", "worst seed", "the learner's reward", "its largest, at update", "seeds",
                "published",
            ],
            table,
        )
    )


def _figure(curves):
    figure, panels = results.new_figure(8.6, 3.8, n_panels=2, sharey=True)
    for agent, (panel, whose) in enumerate(zip(panels, ("shaper's", "naive learner's"))):
        for name, rewards in curves.items():
            results.draw_mean(
                panel, range(rewards.shape[1]), rewards[:, :, agent], name, results.COLOURS[name.partition(",")[0]],
                linestyle=":" if "," in name else "-",
            )
        panel.set_xlabel("updates of the naive learner")
        panel.set_ylabel(f"the {whose} mean reward per step")
        panel.yaxis.set_tick_params(labelleft=True)
        panel.grid(alpha=0.3)
    panels[0].legend(fontsize=7, title="mean and 95% interval over seeds", title_fontsize=7)
    return figure
