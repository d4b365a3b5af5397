"""A run without meta-agents: all agents learn on the tasks of meta-testing, from policies as they are drawn."""

import numpy as np

from tf_metamapg import checks
from tf_metamapg.contracts import JointParams
from tf_metamapg.numerics import random
from tf_metamapg.runs import arrays
from tf_metamapg.runs import learned
from tf_metamapg.runs import metrics
from tf_metamapg.runs import progress
from tf_metamapg.runs.checkpoints import Checkpoint
from tf_metamapg.runs.recorder import Follower
from tf_metamapg.runs.recorder import Recorder
from tf_metamapg.runs.results import Results
from tf_metamapg.runs.settings import Experiment
from tf_metamapg.runs.stops import RunStopped
from tf_metamapg.training.learning import Evaluation
from tf_metamapg.training.learning import Learning
from tf_metamapg.training.trainer import MetaTrainer
from tf_metamapg.training.workers import Workers


class InnerLearning:
    """Inner updates of all agents, one after the other; see `course.Course`.

    What agents get at φ_l is known, and written, once they have played there. A checkpoint after l inner updates holds
    φ_l before that, so that a run may go on from its end with more of them.
    """

    counter = "inner_update"
    may_change: tuple[str, ...] = (
        "train.n_inner_updates", "train.n_meta_updates", "train.checkpoint_every", "train.export_all_seeds",
        "train.export_tasks", "train.export_learning",
    )

    def __init__(self, experiment: Experiment, workers: Workers) -> None:
        """Makes agents."""
        self._experiment = experiment
        self.trainer = MetaTrainer(experiment.problem, experiment.trainer, experiment.run.seeds, workers)
        self._begun()

    @property
    def names(self) -> list[str]:
        """What each row of metrics has: what agents get after so many inner updates."""
        return ["average_reward", *self._experiment.problem.game.spec.metrics]

    @property
    def n_rows_done(self) -> int:
        """How many rows have been written by the last checkpoint."""
        return int(self._learning.n_updates_done)

    @property
    def adapted_params(self) -> JointParams:
        """φ_l of all agents."""
        return tuple(state.params for state in self._learning.agent_states)

    def trace(self) -> None:
        """Lets agents play once; what comes of it is kept."""
        self._learning.play()

    def load(self, values: dict[str, np.ndarray], source: str) -> None:
        """Takes over policies as they were drawn and as they are at the end."""
        arrays.assign(source, self.trainer.learned, values)
        self._begun()
        # The critic, too, is what it has come to.
        arrays.assign(source, self.trainer.learned, values)
        adapted = [state.params for state in self._learning.agent_variables]
        arrays.assign(source, learned.adapted_by_name(adapted), values)

    def begin(self) -> None:
        """Takes over what another run has learned, if there is one to start from."""
        run = self._experiment.run
        if run.init_from is not None:
            learned.take_over(self.trainer, run.init_from, run.seeds)
            self._begun()

    def go_on(self, checkpoint: Checkpoint) -> None:
        """Takes up what was saved."""
        self._begun()
        checkpoint.restore(self._state)
        done, n_inner_updates = self.n_rows_done, self._experiment.evaluation.n_inner_updates
        checks.check(n_inner_updates >= done, "train.n_inner_updates", n_inner_updates, f"≥ {done}, as many are done")

    def described_progress(self) -> str:
        """How far it has come, in words."""
        return f"{self.n_rows_done} of {self._experiment.evaluation.n_inner_updates} inner updates"

    def save(self, recorder: Follower) -> None:
        """Saves all that going on needs."""
        recorder.save(self.n_rows_done, self._state)

    def run(self, recorder: Follower) -> None:
        """All inner updates that are left.

        Raises:
            RunStopped: if something is NaN or infinite.
        """
        n_inner_updates, every = self._experiment.evaluation.n_inner_updates, self._experiment.run.checkpoint_every
        bar = progress.Bar(n_inner_updates, self.n_rows_done, what="inner update")
        self._play(recorder)
        while (done := self.n_rows_done + 1) <= n_inner_updates:
            self._learning.update()
            if done % every == 0 or done == n_inner_updates:
                self.save(recorder)
            mean_reward = self._play(recorder)
            bar.step(f"mean reward per step {self._experiment.compared(mean_reward).mean():+.3f}")
        bar.close()
        recorder.close()

    def results(self, recorder: Recorder) -> Results:
        """What agents got before each inner update and after the last.

        From the rows that were written, all of which need not be of this process.
        """
        spec, n_seeds = self._experiment.problem.game.spec, self._experiment.run.n_seeds
        table = metrics.read(recorder.progress.directory.metrics, n_seeds, spec.n_agents, spec.dtype)
        by_name = dict(zip(self.names, np.moveaxis(table, [-1, 1], [0, 1])))  # [S, updates + 1, n_agents] each
        mean_reward = by_name.pop("average_reward")
        evaluation = Evaluation(mean_reward, by_name, self.adapted_params)
        return Results(self._experiment.scores(mean_reward, 0), None, evaluation)

    def _begun(self):
        """Puts all agents back to where they begin."""
        evaluation = self._experiment.evaluation
        self._learning = Learning(self.trainer, random.META_TEST, evaluation.n_evaluation_tasks)
        self._state = {"trainer": self.trainer.state, "learning": self._learning.state}

    def _play(self, recorder):
        """Lets agents play at φ_l and writes what they get; returns their mean rewards, [S, n_agents]."""
        played, done = self._learning.play(), self.n_rows_done
        by_name = [played.mean_reward, *(played.game_metrics[name] for name in self.names[1:])]
        for what, values in (("mean reward", by_name[:1]), ("gradient of a critic", played.critic_gradients)):
            if not all(np.all(np.isfinite(value)) for value in values):
                recorder.close()
                raise RunStopped(
                    f"a {what} after {done} inner updates is NaN or infinite; the last checkpoint is {recorder.latest}"
                )
        recorder.write(done, np.stack([values.numpy() for values in by_name], axis=-1))
        return played.mean_reward.numpy()
