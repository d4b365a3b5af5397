"""COALA-PG shapes naive learners in the iterated prisoner's dilemma."""

from collections.abc import Sequence

import numpy as np

from tf_metamapg.reproductions import protocols
from tf_metamapg.reproductions import results
from tf_metamapg.runs import files

# What the agent is, and what is different for it in the config.
SHAPERS = {
    "COALA-PG": (),
    "without memory of earlier episodes": ("train.policies = [@gru_policy, @tabular_policy]",),
    "trained on the first episode alone": ("train.chain_length = 0",),
}
COLOURS = dict(zip(SHAPERS, ("C0", "C3", "C7")))


def runs(bindings: Sequence[str] = ()) -> dict[str, protocols.Run]:
    """What is trained, by the agent's name; see `reproduce`."""
    return {
        name: protocols.Run(
            name.lower().translate(str.maketrans(" -", "__")), "ipd_coala", (*own_bindings, *bindings)
        )
        for name, own_bindings in SHAPERS.items()
    }


def reproduce(directory: files.PathLike, bindings: Sequence[str] = ()) -> None:
    """Trains and evaluates the agent as `ipd_coala.gin` says, and with a part of it left out; writes the results.

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
        directory, _figure(curves), ["agent", "seed", "updates", "reward_of_agent", "reward_of_learner"], rows,
        _text(curves),
    )


def _text(curves):
    n_updates = next(iter(curves.values())).shape[1] - 1
    return (
        results.paragraph(
            f"Mean reward per step over {n_updates + 1} episodes, between which a naive learner, θ ~ N(0, 1), takes a",
            "step of 1 by policy gradient; mean ± 95% interval over seeds; held-out learners, sampled inner updates.",
            "Everything is as `ipd_coala.gin` says, but for what a row leaves out: without memory every episode",
            "begins with a recurrent state of zeros; trained on the first episode alone, what the learner will have",
            "learned does not count. Mutual cooperation is worth −1 to both, mutual defection −2. No figure is",
            "published of this protocol.",
        )
        + results.markdown_table(
            ["agent", "its reward", "in the last episode", "worst seed", "the learner's", "in the last", "seeds"],
            [
                [
                    name, *(
                        cell for agent, worst in ((0, True), (1, False)) for cell in (
                            results.with_interval(rewards[:, :, agent].mean(axis=1)),
                            results.with_interval(rewards[:, -1, agent]),
                            *([results.signed(rewards[:, :, agent].mean(axis=1).min())] if worst else []),
                        )
                    ), f"{len(rewards)}",
                ]
                for name, rewards in curves.items()
            ],
        )
    )


def _figure(curves):
    figure, panels = results.new_figure(8.6, 3.6, n_panels=2, sharey=True)
    for agent, (panel, whose) in enumerate(zip(panels, ("agent's", "naive learner's"))):
        for name, rewards in curves.items():
            results.draw_mean(panel, range(rewards.shape[1]), rewards[:, :, agent], name, COLOURS[name])
        panel.set_xlabel("updates of the naive learner")
        panel.set_ylabel(f"the {whose} mean reward per step")
        panel.yaxis.set_tick_params(labelleft=True)
        panel.grid(alpha=0.3)
    panels[0].legend(fontsize=8, title="mean and 95% interval over seeds", title_fontsize=8)
    return figure
