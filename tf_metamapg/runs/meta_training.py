"""A run with meta-agents: meta-training in one stage or several, then adaptation on held-out tasks."""

import dataclasses

import numpy as np

from tf_metamapg import checks
from tf_metamapg.contracts import JointParams
from tf_metamapg.numerics import random
from tf_metamapg.runs import arrays
from tf_metamapg.runs import exports
from tf_metamapg.runs import learned
from tf_metamapg.runs import progress
from tf_metamapg.runs import training_curves
from tf_metamapg.runs.checkpoints import Checkpoint
from tf_metamapg.runs.recorder import Follower
from tf_metamapg.runs.recorder import Recorder
from tf_metamapg.runs.results import Results
from tf_metamapg.runs.settings import Experiment
from tf_metamapg.runs.stops import RunStopped
from tf_metamapg.training import learning
from tf_metamapg.training.gradient_norms import NonFiniteGradientError
from tf_metamapg.training.learning import Evaluation
from tf_metamapg.training.meta_update import Metrics
from tf_metamapg.training.trainer import MetaTrainer
from tf_metamapg.training.workers import Workers


class MetaTraining:
    """Meta-updates of all meta-agents; see `course.Course`."""

    counter = "meta_update"

    def __init__(self, experiment: Experiment, workers: Workers) -> None:
        """Makes the first stage."""
        self._experiment, self._workers = experiment, workers
        self._enter(stage=0, started_at=0)
        # No meta-update depends on these; what is kept by meta-validations depends on the last two.
        self.may_change: tuple[str, ...] = (
            "train.n_meta_updates", "train.checkpoint_every", "train.export_all_seeds", "train.export_tasks",
            "train.export_learning",
        )
        if experiment.evaluation.validate_every is None:
            self.may_change += ("train.n_inner_updates", "train.n_evaluation_tasks")

    @property
    def names(self) -> list[str]:
        """What each row of metrics has, before adaptation and after each inner update, and the norm of each term."""
        n_links = 1 + max(stage.chain_length for stage in self._experiment.stages)
        by_link = ("average_reward", *self._experiment.problem.game.spec.metrics)
        names = [f"{name}_{link}" for name in by_link for link in range(n_links)]
        return names + [f"{term}_norm" for term in training_curves.TERMS]

    @property
    def n_rows_done(self) -> int:
        """How many updates have been written."""
        return int(self.trainer.n_meta_updates_done)

    @property
    def adapted_params(self) -> JointParams:
        """None: what agents adapt to is known when they are evaluated."""
        return ()

    def trace(self) -> None:
        """Traces the meta-gradient."""
        self.trainer.trace()

    def load(self, values: dict[str, np.ndarray], source: str) -> None:
        """Takes what the last stage has learned."""
        self._enter(len(self._experiment.stages) - 1, started_at=0)
        arrays.assign(source, self.trainer.learned, values)

    def begin(self) -> None:
        """Takes over what another run has learned, if there is one to start from."""
        run = self._experiment.run
        if run.init_from is not None:
            learned.take_over(self.trainer, run.init_from, run.seeds)

    def go_on(self, checkpoint: Checkpoint) -> None:
        """Takes up what was saved."""
        if checkpoint.notes["stage"] != self._stage:
            self._enter(checkpoint.notes["stage"], checkpoint.notes["stage_started_at"])
        checkpoint.restore(self.trainer.state)
        done, n_meta_updates = self.n_rows_done - self._started_at, self._settings.n_meta_updates
        checks.check(n_meta_updates >= done, "train.n_meta_updates", n_meta_updates, f"≥ {done}, as many are done")

    def described_progress(self) -> str:
        """How far it has come, in words."""
        return f"{self.n_rows_done} of {sum(stage.n_meta_updates for stage in self._experiment.stages)} meta-updates"

    def save(self, recorder: Follower) -> None:
        """Saves all that going on needs."""
        recorder.save(self.n_rows_done, self.trainer.state, stage=self._stage, stage_started_at=self._started_at)

    def run(self, recorder: Follower) -> None:
        """All meta-updates that are left, and then how agents adapt to held-out tasks.

        Raises:
            RunStopped: if something is NaN or infinite; what was learned before it is in a checkpoint.
        """
        stages = self._experiment.stages
        bar = progress.Bar(sum(stage.n_meta_updates for stage in stages), self.n_rows_done)
        self._finish_stage(recorder, bar)
        while self._stage + 1 < len(stages):
            last = self.trainer
            self._enter(self._stage + 1, started_at=self.n_rows_done)
            learned.hand_over(last, self.trainer)
            recorder.next_stage()
            self.save(recorder)
            self._finish_stage(recorder, bar)
        bar.close()
        recorder.close()
        self._evaluations = self._adapt(random.META_VALIDATION), self._adapt(random.META_TEST)
        if not all(np.all(np.isfinite(evaluation.mean_reward)) for evaluation in self._evaluations):
            raise RunStopped(
                f"a mean reward in evaluation is NaN or infinite; the last checkpoint is {recorder.latest}"
            )

    def results(self, recorder: Recorder) -> Results:
        """What has come of it."""
        del recorder
        validation, meta_test = self._evaluations
        scores = self._experiment.scores(validation.mean_reward, self._settings.chain_length)
        return Results(scores, validation, meta_test)

    def _enter(self, stage, started_at):
        """Makes the trainer of a stage, with new meta-parameters."""
        self._stage, self._started_at, self._settings = stage, started_at, self._experiment.stages[stage]
        settings = dataclasses.replace(self._experiment.trainer, chain_length=self._settings.chain_length)
        if self._settings.meta_learning_rate is not None:
            settings = dataclasses.replace(settings, meta_learning_rate=self._settings.meta_learning_rate)
        self.trainer = MetaTrainer(self._experiment.problem, settings, self._experiment.run.seeds, self._workers)
        self.trainer.n_meta_updates_done.assign(started_at)

    def _finish_stage(self, recorder, bar):
        run, validate_every = self._experiment.run, self._experiment.evaluation.validate_every
        self._keep_snapshot(recorder)
        end = self._started_at + self._settings.n_meta_updates
        saved = self.n_rows_done
        while (done := self.n_rows_done) < end and not recorder.wants_to_stop():
            try:
                metrics = self.trainer.step()
            except NonFiniteGradientError as error:
                bar.close()
                self.save(recorder)
                recorder.close()
                raise RunStopped(f"{error}; what was learned before it is in {recorder.latest}") from error
            done += 1
            recorder.write(done, self._table(metrics))
            by_link = self._experiment.compared(metrics.mean_reward).mean(axis=0)
            bar.step(f"mean reward per step {by_link[0]:+.3f} before and {by_link[-1]:+.3f} after adaptation")
            if validate_every is not None and done % validate_every == 0:
                scores = self._validation_scores()
                self.trainer.best.keep(scores)
                recorder.validated(scores)
            self._keep_snapshot(recorder)
            if done % run.checkpoint_every == 0:
                self.save(recorder)
                saved = done
        if saved < self.n_rows_done:
            self.save(recorder)
        if validate_every is not None:
            # After the last checkpoint: a run that goes on has no validation here.
            if self.n_rows_done % validate_every != 0:
                self.trainer.best.keep(self._validation_scores())
            self.trainer.best.restore()

    def _table(self, metrics: Metrics) -> np.ndarray:
        """The columns of `names` for what a meta-update has reported: [S, n_agents, number of names]."""
        n_links = 1 + max(stage.chain_length for stage in self._experiment.stages)
        names = self._experiment.problem.game.spec.metrics
        by_link = [metrics.mean_reward, *(metrics.game_metrics[name] for name in names)]
        padded = [
            np.pad(values, [(0, 0), (0, n_links - values.shape[1]), (0, 0)], constant_values=np.nan)
            for values in by_link
        ]
        return np.concatenate([*(np.swapaxes(values, 1, 2) for values in padded), metrics.term_norms], axis=-1)

    def _keep_snapshot(self, recorder):
        """Keeps the initial policies of this moment, if it is time to; a run that goes on keeps the same again."""
        every, done = self._experiment.run.snapshot_every, self.n_rows_done
        if every is not None and done % every == 0:
            joint_params = tuple(values.initial for values in self.trainer.meta_param_values())
            recorder.keep_snapshot(exports.exported(self._experiment), joint_params, done)

    def _validation_scores(self):
        """How well each seed does on the tasks of meta-validation: array [S]."""
        return self._experiment.scores(self._adapt(random.META_VALIDATION).mean_reward, self._settings.chain_length)

    def _adapt(self, phase: int) -> Evaluation:
        """Lets agents adapt to the tasks of a phase."""
        name = {random.META_VALIDATION: "meta-validation", random.META_TEST: "meta-test"}[phase]
        evaluation = self._experiment.evaluation
        show = progress.inner_updates(
            evaluation.n_inner_updates, self._experiment.compared, what=f"{name}, inner update"
        )
        return learning.evaluate(
            self.trainer, phase, evaluation.n_inner_updates, evaluation.n_evaluation_tasks, show
        )
