"""A package that is not part of tf_metamapg, and that nobody edits tf_metamapg for, plugs in.

Run with `-s`, it says how many lines each of its members takes.
"""

import csv
import json
import os
import pathlib
import sys

from absl.testing import parameterized
import pytest
import tensorflow as tf

from tests import command_line
from tf_metamapg import testing

HERE = pathlib.Path(__file__).parent
sys.path.append(os.fspath(HERE))

from commons.agent import Cautious  # noqa: E402, since it is found only now
from commons.critic import Hopeful  # noqa: E402
from commons.estimator import Reinforce  # noqa: E402
from commons.game import Commons  # noqa: E402
from commons.policy import scales_policy  # noqa: E402

# The kit has tests of its own, of the members of this package.
pytestmark = pytest.mark.slow


class CommonsTest(testing.GameTests, tf.test.TestCase):

    def make_game(self):
        return Commons()


class ScalesPolicyTest(testing.PolicyTests, tf.test.TestCase):

    def make_game(self):
        return Commons(dtype="float64")

    def make_policy(self, game, agent_index):
        return scales_policy(game, agent_index)


class CautiousTest(testing.AgentTests, tf.test.TestCase):

    def make_agent(self):
        return Cautious(0.5)


class ReinforceTest(testing.EstimatorTests, tf.test.TestCase):

    def make_estimator(self, game, policies, n_trajectories, horizon):
        return Reinforce(game, policies, n_trajectories, horizon)


class HopefulTest(testing.CriticTests, tf.test.TestCase):

    def make_critic(self, spec, policies):
        return Hopeful(spec, policies)


class TrainTest(tf.test.TestCase):

    def test_bin_train_trains_it(self):
        run = os.path.join(self.get_temp_dir(), "run")
        outcome = command_line.run(f"--gin_file={HERE / 'commons.gin'}", f"--run_dir={run}")
        self.assertEqual(outcome.status, 0, outcome.stderr)
        summary = json.loads(pathlib.Path(run, "summary.json").read_text("utf-8"))
        self.assertEqual(summary["agent"], ["MetaMAPG", "Cautious", "PPO"])
        self.assertEqual(summary["estimator"], "Reinforce")
        # Two seeds, the start and three updates, three agents; the game's own metric as well.
        for name in ("average_reward", "restraint"):
            self.assertEqual(tf.constant(summary["meta_test"][name]).shape, [2, 4, 3])
        self.assertIn("Mean of restraint per step", outcome.stdout)
        with open(os.path.join(run, "metrics.csv"), encoding="utf-8", newline="") as file:
            self.assertIn("restraint_2", next(csv.reader(file)))


class LinesTest(parameterized.TestCase):

    @parameterized.parameters(("game", 50), ("agent", 40), ("estimator", 40), ("critic", 40), ("policy", 40))
    def test_a_member_is_short(self, name, most):
        n_lines = len((HERE / "commons" / f"{name}.py").read_text("utf-8").splitlines())
        print(f"{name}: {n_lines} lines")
        self.assertLessEqual(n_lines, most)


if __name__ == "__main__":
    tf.test.main()
