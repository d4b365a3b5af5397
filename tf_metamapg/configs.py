"""Gin configs: everything that one may name is registered here, and experiments are made as configs say.

What stands in the `__all__` of a folder of members is what a config may name; members of other packages are those that
they register with gin themselves, once a config imports them.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import inspect
import os

import gin

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import gin_messages
from tf_metamapg import gin_reader
from tf_metamapg.public import MEMBERS
from tf_metamapg.runs import choices
from tf_metamapg.runs import export
from tf_metamapg.runs.callbacks import Callback
from tf_metamapg.runs.callbacks import EarlyStopping
from tf_metamapg.runs.recipe import Recipe
from tf_metamapg.runs.settings import EvaluationSettings
from tf_metamapg.runs.settings import Experiment
from tf_metamapg.runs.settings import RunSettings
from tf_metamapg.runs.settings import Stage
from tf_metamapg.training.settings import TrainerSettings
from tf_metamapg.training.workers import LOST

for _folder in MEMBERS:
    for _name in _folder.__all__:
        gin.external_configurable(getattr(_folder, _name), module="tf_metamapg")
for _part in (Stage, EarlyStopping):
    gin.external_configurable(_part, module="tf_metamapg")


def make_experiment(
    *, game: contracts.AnyGame, policies: Sequence[Callable[..., contracts.Policy]], agents: Sequence[contracts.Agent],
    estimator: Callable[..., contracts.Estimator], task_distribution: Callable[..., contracts.TaskDistribution],
    populations: Sequence[Callable[..., contracts.AnyPopulation] | None] | None = None,
    stored_jit_compile: bool | None = None, chain_length: int = 1, n_tasks: int = 8, meta_learning_rate: float = 0.1,
    update_meta_learning_rate: float | None = None, max_gradient_norm: float | None = None,
    share_initial_policy: bool = False, n_blocks: int = 1, jit_compile: bool | None = None, n_inner_updates: int = 5,
    n_evaluation_tasks: int = 32, validate_every: int | None = None, n_seeds: int = 20, first_seed: int = 0,
    n_meta_updates: int = 200,
    earlier_stages: Sequence[Stage] = (), checkpoint_every: int = 50, export_all_seeds: bool = False,
    export_tasks: Sequence[int] = (), export_learning: bool = False, init_from: str | None = None,
    snapshot_every: int | None = None, callbacks: Sequence[Callback] = (),
) -> tuple[Recipe, Experiment]:
    """What the bindings of `train` describe.

    Args:
        game, policies, agents, estimator, task_distribution, populations: see `Recipe`.
        stored_jit_compile: what a run that is resumed has chosen; None for a new one.
        jit_compile: whether XLA compiles what is done at a link; by default where that is likely to save more
            time than it takes.
        chain_length, n_tasks, meta_learning_rate, update_meta_learning_rate, max_gradient_norm, share_initial_policy,
        n_blocks: see `TrainerSettings`.
        n_inner_updates, n_evaluation_tasks, validate_every: see `EvaluationSettings`.
        n_seeds, first_seed, n_meta_updates, earlier_stages, checkpoint_every, export_all_seeds, export_tasks,
        export_learning, init_from, snapshot_every, callbacks: see `RunSettings`.

    Returns:
        what the problem is made of, and the experiment.

    Raises:
        InvalidInputError: if one of these cannot be used.
    """
    recipe = Recipe(
        game=game, policies=policies, agents=agents, estimator=estimator, task_distribution=task_distribution,
        populations=populations,
    )
    problem = recipe.own_problem()
    trainer = TrainerSettings(
        chain_length=chain_length, n_tasks=n_tasks, meta_learning_rate=meta_learning_rate,
        update_meta_learning_rate=update_meta_learning_rate, max_gradient_norm=max_gradient_norm,
        share_initial_policy=share_initial_policy, n_blocks=n_blocks,
        jit_compile=False if jit_compile is None else jit_compile,
    )
    evaluation = EvaluationSettings(
        n_inner_updates=n_inner_updates, n_evaluation_tasks=n_evaluation_tasks, validate_every=validate_every
    )
    run = RunSettings(
        n_seeds=n_seeds, first_seed=first_seed, n_meta_updates=n_meta_updates, earlier_stages=earlier_stages,
        checkpoint_every=checkpoint_every, export_all_seeds=export_all_seeds, export_tasks=export_tasks,
        export_learning=export_learning, init_from=init_from, snapshot_every=snapshot_every, callbacks=callbacks,
    )
    if jit_compile is None:
        # Of a run that is resumed it may look otherwise by now, and the last digits would be others.
        pays = stored_jit_compile
        if pays is None:
            pays = choices.compiling_pays(problem, trainer, evaluation, run)
        trainer = dataclasses.replace(trainer, jit_compile=pays)
    return recipe, Experiment(problem=problem, trainer=trainer, evaluation=evaluation, run=run)


_make_experiment = gin.external_configurable(
    make_experiment, "train", module="tf_metamapg", denylist=["stored_jit_compile"]
)


class Config:
    """A config that has been read, and what gin knows of it, which what it has made may ask for later.

    A caller's own gin bindings are neither seen nor changed.

    Attributes:
        recipe: what its problem is made of.
        experiment: what it describes.
        text: the text of the whole config, as gin knows it when this has been made.
    """

    def __init__(
        self, gin_files: Sequence[str | os.PathLike[str]], bindings: Sequence[str], jit_compile: bool | None,
        module_directories: Sequence[str] = (),
    ) -> None:
        """
        Args:
            gin_files: paths, or names of configs of this package; what a file includes or imports is looked for beside
                it, too.
            bindings: texts that come after the files.
            jit_compile: what a run of the config has chosen, if there is one.
            module_directories: where modules that the config imports may be, too.

        Raises:
            InvalidInputError: if the config cannot be read, or nothing can be made of it.
        """
        self._state, self._jit_compile = gin_reader.State(module_directories), jit_compile
        with self.known():
            self._names_by_file = [(path, gin_reader.read_file(path)) for path in gin_files]
            self._bound_names = [name for text in bindings for name in gin_reader.read_binding(text)]
            gin_reader.finalize()
            self._make()

    def present_text(self) -> str:
        """The text of the whole config, with what has been read of it since it was made."""
        with self.known():
            return str(gin.operative_config_str())

    def unused(self, text: str) -> list[str]:
        """What is bound though nothing has read it according to `present_text`, as texts."""
        return list(gin_messages.unused(text, self._names_by_file, self._bound_names))

    def set_blocks(self, choose: Callable[[], int]) -> None:
        """Binds into how many blocks batches are cut, where the config does not say so.

        Args:
            choose: says how many.

        Raises:
            InvalidInputError: if they cannot be.
        """
        with self.known():
            if gin_reader.is_bound("train.n_blocks"):
                return
            if (n_blocks := choose()) != self.experiment.trainer.n_blocks:
                gin_reader.bind("train.n_blocks", n_blocks)
                self._make()

    @contextlib.contextmanager
    def known(self) -> Iterator[None]:
        """A context in which gin knows the config; what goes wrong inside is `InvalidInputError`."""
        with self._state.known(), _refusals():
            yield

    def running(self) -> contextlib.AbstractContextManager[None]:
        """A context in which gin knows the config, and what goes wrong inside is not of the config."""
        return self._state.known()

    def _make(self) -> None:
        made: tuple[Recipe, Experiment] = _make_experiment(stored_jit_compile=self._jit_compile)
        self.recipe, self.experiment = made
        self.text = str(gin.operative_config_str())

    def policy_maker(self, agent_index: int) -> Callable[[contracts.AnyGame], contracts.Policy]:
        """What makes an agent's policy for a game, which need not be that of the config."""
        def make(game: contracts.AnyGame) -> contracts.Policy:
            with self.known():
                return self.recipe.policy(game, agent_index)

        return make


@contextlib.contextmanager
def _refusals():
    """What goes wrong in what a config names is `InvalidInputError`, but where a disk is full or a worker lost."""
    try:
        yield
    except Exception as error:
        cause = gin_reader.cause(error)
        if isinstance(cause, checks.InvalidInputError):
            raise _named(cause) from None
        if isinstance(error, (*export.DISK_ERRORS, *LOST)) and not gin_reader.calls(error):
            raise
        raise checks.InvalidInputError(f"config: {gin_messages.what_is_wrong(error)}") from error


# What `train` is bound with; other parameters are named by those who have them.
_PARAMETERS = tuple(inspect.signature(make_experiment).parameters)


def _named(error):
    """An error about a parameter of `train`, with the name that a config gives it."""
    name = str(error).partition(" ")[0].partition("[")[0]
    return checks.InvalidInputError(f"train.{error}") if name in _PARAMETERS else error
