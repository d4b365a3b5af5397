"""What the package computed at release 0.1.0, as numbers that later versions must give again: see `golden_test`.

Estimates of opponents are those of 0.3.0.

    python -m tests.golden

computes them anew and replaces `golden.json`; whoever does so says in CHANGELOG.md which numbers change, and why.
"""

import hashlib
import json
import pathlib

import numpy as np
import tensorflow as tf

import tf_metamapg as mapg
from tf_metamapg.numerics import random
from tf_metamapg.simulators.in_graph import InGraphSimulator
from tf_metamapg.training import learning
from tf_metamapg.training.settings import Problem
from tf_metamapg.training.settings import TrainerSettings
from tf_metamapg.training.trainer import MetaTrainer

PATH = pathlib.Path(__file__).parent / "golden.json"
SEEDS, N_TASKS, N_TRAJECTORIES, HORIZON = (0, 1, 5), 2, 8, 6


def dilemma(dtype):
    """The iterated prisoner's dilemma."""
    return mapg.IteratedMatrixGame(mapg.payoffs.prisoners_dilemma(), discount=0.96, dtype=dtype)


def stochastic_game():
    """Three agents, two states."""
    generator = np.random.default_rng(0)
    transitions = generator.dirichlet([1.0, 1.0], size=[2, 2, 3, 2])
    return mapg.StochasticGame(generator.normal(size=[3, 2, 2, 3, 2]), transitions, [[0, 1], [0, 0], [1, 0]])


def linear_quadratic_game():
    """Two agents, vectors for states and actions."""
    return mapg.LinearQuadraticGame(
        0.9 * np.eye(2), [[[1.0], [0.0]], [[0.0], [1.0]]], np.stack([np.eye(2)] * 2), [1.0, -1.0], noise=0.1,
        dtype="float64",
    )


ROLLOUTS = {
    "tabular": (lambda: dilemma("float32"), (mapg.tabular_policy, mapg.tabular_policy)),
    "MLP and LSTM": (lambda: dilemma("float32"), (mapg.mlp_policy, mapg.lstm_policy)),
    "three agents": (stochastic_game, (mapg.tabular_policy,) * 3),
    "vectors": (linear_quadratic_game, (mapg.mlp_policy, mapg.lstm_policy)),
}


def trajectories(name):
    """(uniforms, Trajectory) of new policies."""
    make_game, makers = ROLLOUTS[name]
    game = make_game()
    policies = [make(game, agent_index) for agent_index, make in enumerate(makers)]
    keys = random.root_keys(SEEDS)
    joint_params = mapg.for_each_task(tuple(policy.initial_params(SEEDS) for policy in policies), N_TASKS)
    tasks = mapg.PayoffNoise(game).sample(random.fold_in(keys, 0), N_TASKS)
    simulator = InGraphSimulator(game, policies, N_TRAJECTORIES, HORIZON)
    uniforms = simulator.draw_uniforms(random.fold_in(keys, 1), N_TASKS)
    return uniforms.steps, simulator.play(joint_params, tasks, uniforms)


def sampled(make_estimator, **arguments):
    """A function (game, policies) → estimator."""
    return lambda game, policies: make_estimator(game, policies, N_TRAJECTORIES, HORIZON, **arguments)


def personas(policy):
    """A population of few."""
    return mapg.Personas(policy, 3, 2, 2)


# name: (agents, policies, make an estimator, chain length, makers of populations)
RUNS = {
    "sampled": (
        (mapg.MetaMAPG(2.0), mapg.MetaPG(2.0)), (mapg.tabular_policy, mapg.tabular_policy),
        sampled(mapg.LoadedDiceEstimator), 1, (None, None),
    ),
    "sampled inner updates": (
        (mapg.MetaMAPG(1.0), mapg.PolicyGradient(1.0)), (mapg.tabular_policy, mapg.mlp_policy),
        sampled(mapg.ScoreFunctionEstimator), 2, (None, None),
    ),
    "exact": (
        (mapg.MetaMAPG(2.0), mapg.LOLATaylor(1.0, 0.5)), (mapg.tabular_policy, mapg.mlp_policy), mapg.ExactEstimator,
        1, (None, None),
    ),
    "exact, stable opponent shaping": (
        (mapg.MetaMAPG(1.0), mapg.SOS(1.0, 0.5)), (mapg.tabular_policy, mapg.tabular_policy), mapg.ExactEstimator,
        2, (None, None),
    ),
    "LOLA-DiCE": (
        (mapg.LOLADiCE(1.0, 0.5), mapg.MetaMAPG(1.0)), (mapg.tabular_policy, mapg.tabular_policy),
        sampled(mapg.DiceEstimator), 1, (None, None),
    ),
    "learned rates": (
        (mapg.MetaMAPG(mapg.LearnedRates(0.1)), mapg.PolicyGradient(1.0)),
        (mapg.tabular_policy, mapg.tabular_policy), sampled(mapg.LoadedDiceEstimator, gae_lambda=0.9), 3,
        (None, personas),
    ),
    "LSTM": (
        (mapg.MetaMAPG(0.1), mapg.PolicyGradient(1.0)), (mapg.lstm_policy, mapg.tabular_policy),
        sampled(mapg.LoadedDiceEstimator, critic=mapg.LinearFeatureBaseline), 2, (None, None),
    ),
    "opponent model": (
        (mapg.MetaMAPG(0.5, opponent_model=mapg.MaximumLikelihood()), mapg.PolicyGradient(1.0)),
        (mapg.tabular_policy, mapg.tabular_policy), sampled(mapg.LoadedDiceEstimator), 1, (None, mapg.NormalPolicies),
    ),
}


def meta_updates(name):
    """All that three meta-updates in float64 make of the initial policies, and what they report: a list of arrays."""
    agents, makers, make_estimator, chain_length, populations = RUNS[name]
    game = dilemma("float64")
    policies = [make(game, agent_index) for agent_index, make in enumerate(makers)]
    problem = Problem(
        game=game, policies=policies, agents=agents, estimator=make_estimator(game, policies),
        task_distribution=mapg.PayoffNoise(game),
        populations=[make and make(policy) for make, policy in zip(populations, policies)],
    )
    settings = TrainerSettings(
        chain_length=chain_length, n_tasks=N_TASKS, meta_learning_rate=0.1, jit_compile=False, max_gradient_norm=10.0
    )
    trainer = MetaTrainer(problem, settings, SEEDS)
    metrics = [trainer.step() for _ in range(3)]
    meta_test = learning.evaluate(trainer, random.META_TEST, chain_length + 1, N_TASKS).mean_reward
    values = trainer.meta_param_values()
    learned = [*tf.nest.flatten([own.initial for own in values]), *map(rates, agents, values, [chain_length] * 2)]
    # Sums weighted at random stand for the many entries of a network.
    weights = np.random.default_rng(0)
    return {
        "average_reward": np.stack([one.mean_reward for one in metrics]).ravel().tolist(),
        "term_norms": np.stack([one.term_norms for one in metrics]).ravel().tolist(),
        "meta_test": meta_test.ravel().tolist(),
        "learned": [float(np.sum(weights.normal(size=leaf.shape) * leaf.numpy())) for leaf in learned],
    }


def rates(agent, values, chain_length):
    """The inner learning rates of an agent at each step, tensor [S, L]."""
    if isinstance(values.update, tf.Tensor):
        return tf.exp(values.update)
    rate = agent._learning_rate.learning_rate
    return tf.fill([len(SEEDS), chain_length], tf.constant(rate, tf.float64))


def summary(tensor):
    """What stands for a tensor: of whole numbers a digest, of others a sum weighted at random."""
    if tensor.dtype.is_floating:
        return float(np.sum(np.random.default_rng(0).normal(size=tensor.shape) * tensor.numpy()))
    return digest(tensor)


def digest(tensor):
    """A text that is the same for the same bits."""
    return hashlib.sha256(np.ascontiguousarray(tensor.numpy()).tobytes()).hexdigest()


def main():
    """Writes the numbers of this version."""
    golden = {"uniforms": {}, "trajectories": {}, "meta_updates": {name: meta_updates(name) for name in RUNS}}
    for name in ROLLOUTS:
        uniforms, trajectory = trajectories(name)
        golden["uniforms"][name] = digest(uniforms)
        golden["trajectories"][name] = [summary(leaf) for leaf in tf.nest.flatten(trajectory)]
    PATH.write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
