"""What is chosen for a run by its size, where a config leaves it open: whether XLA compiles, and blocks for workers."""

import dataclasses

from tf_metamapg import checks
from tf_metamapg.runs.settings import EvaluationSettings
from tf_metamapg.runs.settings import Experiment
from tf_metamapg.runs.settings import RunSettings
from tf_metamapg.training.settings import Problem
from tf_metamapg.training.settings import TrainerSettings


def compiling_pays(
    problem: Problem, trainer: TrainerSettings, evaluation: EvaluationSettings, run: RunSettings
) -> bool:
    """Whether compiling with XLA is likely to save more time than it takes, from what was measured on two cores.

    Args:
        problem, trainer, evaluation, run: what an `Experiment` is made of; what `trainer` says of it does not count.
    """
    n_steps = run.n_seeds * problem.estimator.n_steps
    if not n_steps:
        return False  # Exact values are small solves, in which XLA finds nothing to save.
    # Each stage has functions of its own.
    n_links_learned, n_evaluations, n_compiled = 0, 1, 1
    if any(agent.is_meta_agent for agent in problem.agents):
        stages = [(stage.n_meta_updates, stage.chain_length) for stage in run.earlier_stages]
        stages.append((run.n_meta_updates, trainer.chain_length))
        n_links_learned, n_compiled = sum(n * (length + 1) for n, length in stages), len(stages)
        n_evaluations = 2
        if evaluation.validate_every is not None:
            n_evaluations += sum(-(-n // evaluation.validate_every) for n, _ in stages)
    phases = (
        (n_links_learned, n_steps * trainer.n_tasks),
        (n_evaluations * (evaluation.n_inner_updates + 1), n_steps * evaluation.n_evaluation_tasks),
    )
    saved = sum(n_links * (10e-3 + 100e-9 * n_steps_per_link) for n_links, n_steps_per_link in phases)
    return saved > 5.0 * n_compiled  # The seconds that compiling takes longer than tracing.


def blocks_for(experiment: Experiment, n_workers: int) -> int:
    """The smallest number of equal blocks of which each of some workers has one at least.

    Raises:
        InvalidInputError: if seeds and tasks cannot be cut into as many.
    """
    problem, trainer, n_seeds = experiment.problem, experiment.trainer, experiment.run.n_seeds
    if n_workers == 1:
        return 1
    refusals: list[checks.InvalidInputError] = []
    for n_blocks in range(n_workers, max(n_workers, n_seeds * trainer.n_tasks) + 1):
        try:
            dataclasses.replace(trainer, n_blocks=n_blocks).blocks(problem, n_seeds)
        except checks.InvalidInputError as error:
            refusals.append(error)
        else:
            return n_blocks
    reason = str(refusals[0]).partition(": must be ")[2]
    raise checks.InvalidInputError(f"--workers = {n_workers}: needs train.n_blocks, which must be {reason}")
