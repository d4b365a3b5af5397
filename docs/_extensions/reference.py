"""The reference: a page for each folder of members and what else is public, made as the documentation is built.

What lacks a description is a warning, and so fails the build: a public name without a docstring; a function or method
that takes or returns tensors and does not give their shapes, as in [S, N]; a member of a kind that comes from the
literature, neither whose docstring nor whose module's says from where.
"""

import importlib
import inspect
import itertools
import pathlib
import re

from sphinx.util import logging

import tf_metamapg

LOGGER = logging.getLogger(__name__)

# Beside the folders of members: {page: {module: names}}.
OTHERS = {
    "theorem": {
        "tf_metamapg.adaptation": ("adapt", "for_each_task", "inner_update", "Chain"),
        "tf_metamapg.theorem": ("meta_gradients",),
        "tf_metamapg.links": ("sample_link", "Link", "Objectives"),
        "tf_metamapg.numerics.random": ("root_keys", "link_keys", "uniforms", "normals"),
    },
    "contracts": {"tf_metamapg.contracts": tuple(tf_metamapg.contracts.__all__)},
    "training": {
        "tf_metamapg.training.settings": ("Problem", "TrainerSettings"),
        "tf_metamapg.training.trainer": ("MetaTrainer",),
        "tf_metamapg.training.meta_update": ("Metrics", "MetaUpdate"),
        "tf_metamapg.training.learning": ("Learning", "evaluate", "Evaluation"),
    },
    "runs": {
        "tf_metamapg.starts": ("train",),
        "tf_metamapg.loading": ("load_run", "Run"),
        "tf_metamapg.runs.recipe": ("Recipe",),
        "tf_metamapg.runs.settings": ("RunSettings", "EvaluationSettings", "Stage"),
        "tf_metamapg.runs.callbacks": ("Callback", "EarlyStopping"),
        "tf_metamapg.runs.serving": ("export_learning_agent",),
    },
    "testing": {"tf_metamapg.testing": tuple(importlib.import_module("tf_metamapg.testing").__all__)},
}
TITLES = {
    "games": "Games", "policies": "Policies", "simulators": "Simulators", "critics": "Critics",
    "estimators": "Estimators", "agents": "Agents", "theorem": "Chains and the theorem", "contracts": "Contracts",
    "training": "Meta-training", "runs": "Runs", "testing": "Conformance tests",
}
# What no paper has brought: plain forms, means to an end, and what is as old as the field.
WITHOUT_SOURCE = {
    "ConstantRate", "Fixed", "GradientAgent", "MaximumLikelihood", "LearnedRates", "SGD", "last_link", "sum_over_chain",
    "mean_over_chain", "BaselineCritic", "LeaveOneOutBaseline", "NoBaseline", "ValueNetwork", "ExpectedUpdateEstimator",
    "SampledEstimator", "ExactEstimator", "ChainCriticAgent", "NetworkCritic",
}
FROM_LITERATURE = ("agents", "critics", "estimators")

TENSORS = re.compile(r"Tensor|ndarray|ArrayLike|Structure|Params|Trajectory")
SHAPE = re.compile(r"\[[^\]]*\]|\bscalar")
YEAR = re.compile(r"\b(19|20)\d\d[a-z]?\b")
ELSEWHERE = re.compile(r"[Ss]ee `")  # what another docstring says


def pages():
    """{page: {module: names}}: the members by the module that they stand in, and all others."""
    by_page = {}
    for folder in tf_metamapg.MEMBERS:
        modules = by_page.setdefault(folder.__name__.rpartition(".")[2], {})
        for name in folder.__all__:
            modules.setdefault(getattr(folder, name).__module__, []).append(name)
    return by_page | OTHERS


def lacks(page, module, name):
    """What the description of a public name lacks, a line each."""
    described = getattr(importlib.import_module(module), name)
    if not (inspect.isclass(described) or inspect.isroutine(described)):
        return  # such as a union of types
    text, around = described.__doc__ or "", importlib.import_module(described.__module__).__doc__ or ""
    if not text.strip() or text.startswith(f"{name}("):  # as a NamedTuple has it that nobody has described
        yield f"{module}.{name}: has no docstring"
    if page in FROM_LITERATURE and name not in WITHOUT_SOURCE and not YEAR.search(text + around):
        yield f"{module}.{name}: does not say which publication it is from"
    if inspect.isroutine(described):
        yield from lacks_shapes(f"{module}.{name}", described, text)
        return
    yield from lacks_shapes(f"{module}.{name}", described.__init__, described.__init__.__doc__ or "", text)
    for method, function in vars(described).items():
        if inspect.isfunction(function) and not method.startswith("_") and page != "testing":
            full = f"{module}.{name}.{method}"
            if not (function.__doc__ or "").strip():
                yield f"{full}: has no docstring"
            yield from lacks_shapes(full, function, function.__doc__ or "", text)


def lacks_shapes(full, function, *texts):
    """A line unless the texts have a shape, or what the function takes and returns is no tensor."""
    annotations = map(str, getattr(function, "__annotations__", {}).values())
    says = any(SHAPE.search(text) or ELSEWHERE.search(text) for text in texts)
    if any(map(TENSORS.search, annotations)) and not says:
        yield f"{full}: does not say the shapes of tensors, as in [S, N]"


def write(app):
    """Writes the pages of the reference beside the others."""
    folder = pathlib.Path(app.srcdir) / "reference"
    folder.mkdir(exist_ok=True)
    (folder / "all_results.md").write_text(all_results(), "utf-8")
    for page, modules in pages().items():
        lines = [f"# {TITLES[page]}", ""]
        package = importlib.import_module(f"tf_metamapg.{page}") if page not in OTHERS or page == "testing" else None
        if package is not None:
            lines += directive("automodule", package.__name__, "no-members", "no-index")
        lines += ["| | |", "|---|---|", *sorted(itertools.chain(*itertools.starmap(rows, modules.items()))), ""]
        for module, names in sorted(modules.items()):
            if module != f"tf_metamapg.{page}":
                lines += [f"## `{module.removeprefix('tf_metamapg.')}`", ""]
                lines += directive("automodule", module, "no-members", "no-index")
            for name in names:
                for line in lacks(page, module, name):
                    LOGGER.warning(line)
                described = getattr(importlib.import_module(module), name)
                kind = "autoclass" if inspect.isclass(described) else "autofunction"
                lines += directive(kind if callable(described) else "autodata", f"{module}.{name}")
        text = "\n".join(lines)
        path = folder / f"{page}.md"
        if not path.exists() or path.read_text("utf-8") != text:  # What is as it was need not be read again.
            path.write_text(text, "utf-8")


def all_results():
    """The page of all results, `results/RESULTS.md` with its links as they are from here."""
    text = (pathlib.Path(__file__).parents[2] / "results" / "RESULTS.md").read_text("utf-8")
    text = re.sub(r"(?<!!)\[[^\]]*\]\(((?!http)[^)]*)\)", r"{download}`\1 <../../results/\1>`", text)
    return re.sub(r"!\[([^\]]*)\]\(", r"![\1](../../results/", text).replace("# Results", "# All results", 1)


def rows(module, names):
    """What stands in a module as rows of a table: each name and the first paragraph of its description."""
    for name in names:
        summary = (getattr(importlib.import_module(module), name).__doc__ or "").strip().split("\n\n")[0]
        summary = re.sub(r"([|<>_$])", r"\\\1", " ".join(summary.split()))
        yield f"| [`{name}`](#{module}.{name}) | {summary} |"


def directive(name, argument, *options):
    """The lines of an autodoc directive."""
    return ["```{eval-rst}", f".. {name}:: {argument}", *(f"   :{option}:" for option in options), "```", ""]


def as_plain_text(app, what, name, described, options, lines):
    """Docstrings are text with `names` and *stress*: other stars and bars, and indented lines, stay as they are."""
    literal = False
    for index, line in enumerate(lines):
        if line.strip():
            begins = index > 1 and not lines[index - 1] and lines[index - 2].endswith("::")
            literal = line.startswith("    ") and (literal or begins)
        if not literal:
            parts = re.split(r"(`[^`]*`|\*\w+\*)", line)  # names and stressed words are at odd places
            parts[::2] = [re.sub(r"([*|])", r"\\\1", part) for part in parts[::2]]
            lines[index] = "".join(parts)
            following = lines[index + 1:index + 3]
            if line.endswith(":") and len(following) == 2 and not following[0] and following[1].startswith("    "):
                lines[index] += ":"


def with_short_defaults(app, what, name, described, options, signature, returned):
    """Signatures in which a default that is a function or a class is its name."""
    short = re.sub(r"<(?:class|function) '?(?:[\w.]+\.)?(\w+)'?(?: at 0x\w+)?>", r"\1", signature or "")
    return short or None, returned


def setup(app):
    """Lets the pages be written before Sphinx looks for what there is."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("builder-inited", write)
    app.connect("autodoc-process-signature", with_short_defaults)
    app.connect("autodoc-process-docstring", as_plain_text, priority=400)  # before what divides them into sections
    return {"parallel_read_safe": True}
