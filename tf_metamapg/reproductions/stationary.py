"""Agents that take others for stationary, model them or anticipate one step of theirs, beside those that meta-learn."""

from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from tf_metamapg.reproductions import personas
from tf_metamapg.reproductions import protocols
from tf_metamapg.reproductions import results
from tf_metamapg.runs import files

# K and T of all, so that everybody sees as much.
_SAMPLED = (
    "train.estimator = @ScoreFunctionEstimator", "ScoreFunctionEstimator.n_trajectories = 64",
    "ScoreFunctionEstimator.horizon = 50",
)


def _with_critic(agent):
    """Bindings of an agent with a critic of its own that learns within the chain."""
    return f"@own/{agent}()", (*_SAMPLED, f"own/{agent}.inner_learning_rate = {{}}"), ()


# For each method: its agent, bindings with {} for the inner step, and what its policy is if it is no table.
ORDINARY = {
    "naive": ("@own/PolicyGradient()", ("own/PolicyGradient.inner_learning_rate = {}",), ()),
    "own critic (A2C)": _with_critic("AdvantageActorCritic"),
    "central critic (COMA)": _with_critic("COMA"),
    "joint-action Q (Eq. 10)": _with_critic("JointActionActorCritic"),
    "recursive reasoning": _with_critic("RecursiveReasoning"),
    "opponent features": (
        "@own/PolicyGradient()", (*_SAMPLED, "own/PolicyGradient.inner_learning_rate = {}"),
        "@opponent_features_policy",
    ),
    "modelled, LookAhead": (
        "@own/LookAhead()",
        ("own/LookAhead.inner_learning_rate = {}", "own/LookAhead.opponent_model = @MaximumLikelihood()"), (),
    ),
    "LOLA-DiCE": ("@own/LOLADiCE()", ("own/LOLADiCE.inner_learning_rate = {}",), ()),
}
META = {"Meta-PG": "MetaPG", "Meta-MAPG": "MetaMAPG"}
METHODS = (*ORDINARY, *META)
# Those who take it for given what others will do stand before those who look ahead, shape or meta-learn.
_TAKE_FOR_GIVEN = METHODS[:6]
RATES = (0.1, 0.5, 2.0, 8.0)
# A config, who the other agent is, whose mean reward counts, and bindings. Of two agents of one kind both count: where
# their critics begin apart, one may exploit the other.
SETTINGS = {
    "IPD, self-play": ("ipd", None, (0, 1), ("train.n_inner_updates = 10", "train.n_evaluation_tasks = 16")),
    "a learning persona": ("personas_ipd_tabular", "@PolicyGradient()", (0,), ()),
}
# Beside those that all reproductions share.
_COLOURS = {
    "own critic (A2C)": "C5", "central critic (COMA)": "C2", "joint-action Q (Eq. 10)": "C6",
    "recursive reasoning": "C4", "opponent features": "C8", "modelled, LookAhead": "C9",
}
PROTOCOL = ("train.n_seeds = 10",)


def choices(
    methods: Sequence[str] = METHODS, rates: Sequence[float] = RATES, bindings: Sequence[str] = ()
) -> personas.Choices:
    """What is trained, by the setting and the method, and by the inner step; see `reproduce`."""
    return {
        (setting, method): _method_runs(setting, method, rates, bindings) for setting in SETTINGS for method in methods
    }


def runs() -> dict[tuple[str, str, str], protocols.Run]:
    """What is trained, by the setting, the method and the inner step."""
    return personas.all_runs(choices())


def reproduce(
    directory: files.PathLike, methods: Sequence[str] = METHODS, rates: Sequence[float] = RATES,
    bindings: Sequence[str] = (),
) -> None:
    """Lets all methods learn in both settings, and writes the results.

    Args:
        directory: where to; the runs are kept beside the results.
        methods: which of `METHODS`.
        rates: inner steps of those that choose no initial policy, of which the best in meta-validation counts.
        bindings: gin bindings that come after those of the protocol.
    """
    curves, steps = {}, {}
    for (setting, method), by_step in choices(methods, rates, bindings).items():
        _, _, counted, _ = SETTINGS[setting]
        summary, steps[setting, method], _ = personas.train_and_choose(directory, by_step, counted)
        curves[setting, method] = personas.own_rewards(summary["meta_test"], counted)
    rows = [
        [setting, method, steps[setting, method], seed, update, f"{value:.9g}"]
        for (setting, method), values in curves.items() for (seed, update), value in np.ndenumerate(values)
    ]
    header = ["setting", "method", "inner_step", "seed", "inner_updates", "average_reward"]
    results.save(directory, _figure(curves), header, rows, _text(curves, steps, rates))


def _method_runs(setting, method, rates, bindings):
    """What is trained for one method, by its inner step."""
    config, other, _, own_bindings = SETTINGS[setting]
    name = f"{config}_{method}".lower().translate(str.maketrans(" -.,()", "______"))
    last = (*own_bindings, *PROTOCOL, *bindings)
    if method in META:
        agent = META[method]
        steps = () if agent == "MetaMAPG" else _as_meta_mapg(agent, other)
        return {
            "learned" if other else "2": protocols.Run(name, config, (*_agents(f"@{agent}()", other), *steps, *last))
        }
    agent, templates, policy = ORDINARY[method]
    more = _policies(policy, other) if policy else ()
    return personas.rate_runs(name, config, (*_agents(agent, other), *templates, *more), last, rates)


def _agents(own, other):
    return (f"train.agents = [{own}, {other or own}]",)


def _policies(own, other):
    return (f"train.policies = [{own}, {'@tabular_policy' if other else own}]",)


def _as_meta_mapg(agent, other):
    """Inner steps of another meta-agent, as the configs have them for Meta-MAPG."""
    return (f"{agent}.inner_learning_rate = {'@LearnedRates()' if other else 2.0}",)


def _text(curves: Mapping[tuple[str, str], np.ndarray], steps, rates):
    table = []
    for (setting, method), values in curves.items():
        last = values.shape[1] - 1
        table.append([
            setting, method, steps[setting, method],
            *(results.with_interval(values[:, update]) for update in (0, 1, 3)),
            f"{results.with_interval(values[:, last])} ({last})", results.with_interval(personas.area(values)),
        ])
    n_seeds = len(next(iter(curves.values())))
    methods = {method for _, method in curves}
    return (
        results.paragraph(
            f"Mean reward per step by inner updates, mean ± 95% interval over {n_seeds} seeds, on held-out tasks or",
            "personas; the last column is the mean from the first update on. In self-play two agents of one kind play",
            "the iterated prisoner's dilemma (`ipd.gin`: mutual cooperation −1, mutual defection −2), and both count;",
            "a persona is a naive learner (`personas_ipd_tabular.gin`: 0.5 and −0.5), and counts not. Those that",
            "choose no initial policy start from one as it is drawn, with the best of the inner steps",
            f"{', '.join(f'{rate:g}' for rate in rates)} in meta-validation. The",
            f"{', '.join(method for method in _TAKE_FOR_GIVEN if method in methods)} methods take what the others will",
            "do for given, though critics of the joint action and opponent features know what they have done; the",
            "others look ahead, shape or meta-learn. Critics that learn within the chain make a step of Adam for each",
            "update, from where they are drawn; LookAhead and LOLA-DiCE assume steps of 1 of the others. K = 64 and T",
            "= 50 throughout. Intervals cover seeds and tasks, not where critics begin, which is the same for all",
            "seeds, and not the choice of personas.",
        )
        + results.markdown_table(
            ["setting", "method", "inner step", "start", "after 1", "after 3", "at the end", "mean"], table,
        )
    )


def _figure(curves):
    settings = list(dict.fromkeys(setting for setting, _ in curves))
    figure, panels = results.new_figure(4.6 * len(settings) + 0.8, 4.2, n_panels=len(settings))
    for panel, setting in zip(panels, settings):
        for (own, method), values in curves.items():
            if own == setting:
                colour = {**results.COLOURS, **_COLOURS}[method]
                style = "-" if method in META else "--"
                results.draw_mean(panel, range(values.shape[1]), values, method, colour, linestyle=style)
        panel.set_title(setting, fontsize=10)
        panel.set_xlabel("inner updates of both agents")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("mean reward per step")
    panels[-1].legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0), title="mean and 95%\ninterval")
    return figure
