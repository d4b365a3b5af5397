"""Populations: where the initial policies of agents come from that a meta-agent learns to learn among.

The agent of a population starts every task from another initial policy, and then learns as any other.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.contracts import Params
from tf_metamapg.numerics import random
from tf_metamapg.policies.tabular import TabularPolicy

# What says how many members there are, by phase: META_TRAIN, META_VALIDATION, META_TEST.
SIZES = ("n_train", "n_validation", "n_test")


class SplitPopulation(descriptions.Described):
    """Finitely many policies, and disjoint ones for the phases of a run; all seeds of a run meet the same."""

    def __init__(self, splits: Sequence[Params]) -> None:
        """
        Args:
            splits: for each phase Params with leaves [size, ...].
        """
        self._splits = splits

    def sample(self, phase: int, keys: tf.Tensor, n_tasks: int) -> Params:
        """Draws as many different members of a phase, in random order.

        Args:
            phase: `random.META_TRAIN`, `META_VALIDATION` or `META_TEST`.
            keys: int64 tensor [S, 2].
            n_tasks: N.

        Returns:
            Params with leaves [S, N, ...].

        Raises:
            InvalidInputError: if one of these is something else, or there are not as many members.
        """
        keys = _checked_keys(phase, keys, n_tasks)
        self.check_size(phase, "n_tasks", n_tasks)
        leaves = self._splits[phase]
        order = tf.argsort(random.uniforms(keys, [len(leaves[0])], "float64"))[:, :n_tasks]
        return tuple(tf.gather(leaf, order) for leaf in leaves)

    def check_size(self, phase: int, parameter: str, n_tasks: int) -> None:
        """Raises `InvalidInputError` unless a phase has as many different members."""
        size, name = len(self._splits[phase][0]), f"{type(self).__name__}.{SIZES[phase]}"
        checks.check(n_tasks <= size, parameter, n_tasks, f"at most {size}, as there are no more; see {name}")


class Personas(SplitPopulation):
    """Policies with a favourite action: one kind of persona for each action, as many of each kind.

    In every observation the probability of a persona's favourite action is uniform in [1/A, 1], and the other
    actions share what is left evenly (Kim et al. 2021). In the prisoner's dilemma there are those who cooperate and
    those who defect, in rock-paper-scissors those who like rock, paper or scissors. The phases of a run have
    disjoint personas.
    """

    def __init__(
        self, policy: TabularPolicy, n_train: int = 200, n_validation: int = 20, n_test: int = 20, seed: int = 0
    ) -> None:
        """
        Args:
            policy: a `TabularPolicy`.
            n_train: personas of each kind in meta-training, ≥ 1.
            n_validation: in meta-validation, ≥ 1.
            n_test: in meta-testing, ≥ 1.
            seed: what they are drawn from; all seeds of a run meet the same population.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        checks.check(isinstance(policy, TabularPolicy), "Personas.policy", policy, "a tabular policy")
        sizes = (n_train, n_validation, n_test)
        check_split_sizes("Personas", sizes)
        arguments.check_seed("Personas.seed", seed)
        n_actions = policy.n_actions
        # Several float64 numbers for each persona, observation and action.
        checks.check_memory("Personas", sizes, 64 * n_actions**2 * sum(sizes) * policy.n_observations)
        shape = [n_actions, sum(sizes), policy.n_observations]
        uniforms = random.uniforms(random.root_keys([seed]), shape, "float64").numpy()[0]
        favourite_probs = (1.0 + (n_actions - 1.0) * uniforms)[..., np.newaxis] / n_actions
        is_favourite = np.eye(n_actions)[:, np.newaxis, np.newaxis]
        other_probs = (1.0 - favourite_probs) / max(n_actions - 1, 1)
        action_probs = np.where(is_favourite == 1.0, favourite_probs, other_probs)
        bounds = np.cumsum((0, *sizes))
        super().__init__([
            tuple(leaf.reshape([-1, *leaf.shape[2:]]) for leaf in policy.params_of(action_probs[:, start:end]))
            for start, end in zip(bounds[:-1], bounds[1:])
        ])


class NormalPolicies(descriptions.Described):
    """Policies all of whose parameters are drawn from N(mean, stddev²), new ones for every task."""

    def __init__(self, policy: contracts.Policy, mean: float = 0.0, stddev: float = 1.0) -> None:
        """
        Args:
            policy: the agent's policy, of any kind.
            mean: μ.
            stddev: σ ≥ 0.

        Raises:
            InvalidInputError: if one of these is something else.
        """
        contracts.check_kind("NormalPolicies.policy", policy, contracts.Policy, "a policy")
        checks.check_number("NormalPolicies.mean", mean)
        checks.check_number("NormalPolicies.stddev", stddev, minimum=0.0)
        self._leaves = policy.reference_params
        self._mean = mean
        self._stddev = stddev

    def sample(self, phase: int, keys: tf.Tensor, n_tasks: int) -> Params:
        """Draws policies; the phases get disjoint streams through their keys. See `Personas.sample`."""
        keys = _checked_keys(phase, keys, n_tasks)
        return tuple(
            self._mean + self._stddev * random.normals(random.fold_in(keys, index), [n_tasks, *leaf.shape], leaf.dtype)
            for index, leaf in enumerate(self._leaves)
        )

    def check_size(self, phase: int, parameter: str, n_tasks: int) -> None:
        """There are always enough."""
        del phase, parameter, n_tasks


def check_split_sizes(kind: str, sizes: Sequence[int]) -> None:
    """Raises `InvalidInputError` unless there are members for each phase."""
    for name, size in zip(SIZES, sizes):
        checks.check_integer(f"{kind}.{name}", size, minimum=1)


def _checked_keys(phase, keys, n_tasks):
    """The keys, all arguments of `sample` being what they should be."""
    checks.check_integer("phase", phase, minimum=0)
    checks.check(phase < 3, "phase", phase, "random.META_TRAIN, META_VALIDATION or META_TEST")
    checks.check_integer("n_tasks", n_tasks, minimum=1)
    return arguments.keys("keys", keys)
