"""Runs every estimator, policy and critic with few seeds and tasks, in a process of its own: see `products_test`.

    python -m tests.small_batches MODE N_SEEDS N_TASKS

Prints one JSON object: for each member's name the entries of its meta-gradient, and the matrix products in its graph
that broadcast batch axes.
"""

import functools
import json
import sys

import keras
import numpy as np
import tensorflow as tf

import tf_metamapg as mapg
from tf_metamapg import adaptation
from tf_metamapg import contracts
from tf_metamapg.numerics import random

MODES = {
    "eager": lambda function: function,
    "graph": lambda function: tf.function(function, autograph=False),
    "xla": lambda function: tf.function(function, autograph=False, jit_compile=True),
}
# Sizes as in the case that was found: oneDNN takes products of at least this size.
N_TRAJECTORIES, HORIZON = 16, 15


def keras_model(seed):
    """For agents that see vectors of three numbers and act with two."""
    glorot = keras.initializers.GlorotUniform(seed)
    return keras.Sequential([
        keras.Input((3,)), keras.layers.Dense(16, "tanh", kernel_initializer=glorot), keras.layers.LayerNormalization(),
        keras.layers.Dense(4, kernel_initializer=glorot),
    ])


def keras_cell(seed):
    glorot = keras.initializers.GlorotUniform(seed)
    return keras.layers.GRUCell(16, kernel_initializer=glorot, recurrent_initializer=glorot)


def settings():
    """{name: (agents, game, policies, make an estimator)}, with every agent, estimator, policy and critic in it."""
    dilemma = mapg.IteratedMatrixGame(mapg.payoffs.prisoners_dilemma())
    generator = np.random.default_rng(0)
    vectors = mapg.LinearQuadraticGame(
        0.5 * np.eye(3), [generator.normal(size=[3, 2])] * 2, np.stack([np.eye(3)] * 2), np.ones(3), noise=0.1
    )
    states = mapg.StochasticGame(
        generator.normal(size=[2, 18, 2, 2]), generator.dirichlet(np.ones(18), size=[18, 2, 2])
    )

    three = mapg.IteratedMatrixGame(mapg.payoffs.public_goods(3))

    # Ends early, and starts anywhere.
    episodes = mapg.StochasticGame(
        generator.normal(size=[2, 3, 2, 2]), generator.dirichlet(np.ones(3), size=[3, 2, 2]),
        start=[0.2, 0.5, 0.3], ends=generator.uniform(0.1, 0.9, size=[3, 2, 2]),
    )

    def sampled(make_estimator, critic):
        return lambda game, policies: make_estimator(game, policies, N_TRAJECTORIES, HORIZON, critic)

    tabular, mlp, lstm = mapg.tabular_policy, mapg.mlp_policy, mapg.lstm_policy
    dice, loaded, score = mapg.DiceEstimator, mapg.LoadedDiceEstimator, mapg.ScoreFunctionEstimator
    leave_one_out, linear, none = mapg.LeaveOneOutBaseline, mapg.LinearFeatureBaseline, mapg.NoBaseline
    network = functools.partial(mapg.ValueNetwork, units=5)
    meta_mapg = mapg.MetaMAPG(inner_learning_rate=0.001)
    learning_rates = mapg.MetaMAPG(mapg.LearnedRates(0.001), mapg.Momentum())
    learning_every_rate = mapg.MetaMAPG(mapg.LearnedRatesPerParameter(0.001), mapg.Adam(epsilon=1.0))
    constant = mapg.ConstantRate(0.001)
    modelling = mapg.MetaMAPG(inner_learning_rate=0.001, opponent_model=mapg.MaximumLikelihood(max_iterations=2))
    table = {
        "exact": ((meta_mapg, mapg.SOS()), states, (tabular, mlp), mapg.ExactEstimator),
        "exact, steps ahead": (
            (mapg.Extragradient(0.001), mapg.HOLA(0.001)), states, (tabular, mlp), mapg.ExactEstimator
        ),
        "exact, Jacobians": (
            (mapg.ConsensusOptimization(0.001), mapg.SymplecticGradientAdjustment(0.001)), states, (tabular, mlp),
            mapg.ExactEstimator,
        ),
        "Loaded DiCE, equations": (
            (mapg.FirstOrderMetaMAPG(0.001), mapg.CompetitiveGradientDescent(0.001)), dilemma, (tabular, tabular),
            sampled(loaded, leave_one_out),
        ),
        "score function, first order": (
            (mapg.FirstOrderMetaPG(0.001), mapg.PolicyGradient(0.001)), dilemma, (tabular, tabular),
            sampled(score, none),
        ),
        "exact, vectors": (
            (meta_mapg, mapg.LOLATaylor()), mapg.tandem_game(), (mapg.vector_policy,) * 2, mapg.ExactEstimator
        ),
        "DiCE, leave one out": (
            (meta_mapg, mapg.LOLAShaping()), dilemma, (tabular, mlp), sampled(dice, leave_one_out)
        ),
        "Loaded DiCE, none": (
            (modelling, mapg.LookAhead()), states, (tabular, tabular), sampled(loaded, none)
        ),
        "Loaded DiCE, linear": (
            (meta_mapg, mapg.PolicyGradient(0.001)), dilemma, (tabular, lstm), sampled(loaded, linear)
        ),
        "Loaded DiCE, lookahead": (
            (mapg.MetaPG(0.001), mapg.LOLADiCE()), dilemma, (tabular, tabular), sampled(loaded, leave_one_out)
        ),
        "score function, network": (
            (meta_mapg, mapg.Fixed()), dilemma, (mlp, lstm), sampled(score, network)
        ),
        "score function, actor-critics": (
            (mapg.PPO(0.001, critic_units=5, n_epochs=2), mapg.AdvantageActorCritic(0.001, critic_units=5)), dilemma,
            (mapg.gru_policy, tabular), sampled(score, none),
        ),
        "score function, joint actions": (
            (
                mapg.JointActionActorCritic(0.001, critic_units=5),
                mapg.MultiagentSoftQLearning(0.001, critic_units=5, n_joint_actions=4),
            ),
            dilemma, (tabular, tabular), sampled(score, none),
        ),
        "score function, advantages of all": (
            (mapg.AdvantageAlignment(0.001, critic_units=5), mapg.LOQA(0.001, critic_units=5)), dilemma,
            (tabular, tabular), sampled(score, functools.partial(mapg.CentralValueNetwork, units=5)),
        ),
        "score function, counterfactual": (
            (mapg.COMA(0.001, critic_units=5), mapg.RecursiveReasoning(0.001, critic_units=5)), dilemma,
            (tabular, tabular), sampled(score, functools.partial(mapg.CounterfactualBaseline, units=5)),
        ),
        "score function, carried": (
            (mapg.COALAPG(), mapg.PolicyGradient(0.001)), dilemma,
            (
                functools.partial(mapg.carried_state_policy, n_trajectories=N_TRAJECTORIES),
                mapg.opponent_features_policy,
            ),
            sampled(score, none),
        ),
        "score function, evolved": (
            (mapg.Shaper(n_perturbations=2), mapg.PolicyGradient(0.001)), dilemma,
            (functools.partial(mapg.carried_state_policy, n_trajectories=N_TRAJECTORIES), tabular),
            sampled(score, none),
        ),
        "score function, goals": (
            (meta_mapg, meta_mapg), dilemma, (mapg.inferred_goal_policy, tabular), sampled(score, none),
        ),
        "DiCE, counterfactual": (
            (mapg.POLA(0.001), meta_mapg), dilemma, (tabular, tabular),
            sampled(
                mapg.CounterfactualDiceEstimator, functools.partial(mapg.RecursiveReasoningBaseline, units=5)
            ),
        ),
        "exact, joint actions": (
            (mapg.JointActionPolicyGradient(0.001), mapg.MFOS(units=5)), states, (tabular, mlp), mapg.ExactEstimator,
        ),
        "exact, meta-values": (
            (mapg.MeVa(0.001, units=5), mapg.PolicyGradient(0.001)), states, (tabular, mlp), mapg.ExactEstimator,
        ),
        "score function, embeddings": (
            (mapg.OpponentEmbedding(mapg.MetaPG(0.001), n_steps=1), mapg.PolicyGradient(0.001)), dilemma,
            (mapg.embedding_policy, tabular), sampled(score, none),
        ),
        "score function, mean field": (
            (meta_mapg,) * 3, three, (tabular,) * 3, sampled(score, functools.partial(mapg.MeanFieldBaseline, units=5))
        ),
        "score function, vectors": (
            (meta_mapg, meta_mapg), vectors, (mlp, lstm), sampled(score, network)
        ),
        "Loaded DiCE, Keras": (
            (meta_mapg, mapg.PolicyGradient(0.001)), vectors,
            (
                functools.partial(mapg.keras_policy, make_model=keras_model),
                functools.partial(mapg.keras_recurrent_policy, make_cell=keras_cell),
            ),
            sampled(loaded, none),
        ),
        "exact, episodes": (
            (learning_every_rate, mapg.PolicyGradient(constant, mapg.RMSProp(epsilon=1.0))), episodes, (tabular, mlp),
            mapg.ExactEstimator,
        ),
        "Loaded DiCE, episodes": (
            (learning_rates, mapg.PolicyGradient(constant, mapg.SGD(max_gradient_norm=1.0))), episodes,
            (tabular, lstm), sampled(loaded, linear),
        ),
        "score function, episodes": (
            (learning_every_rate, learning_rates), episodes, (lstm, tabular), sampled(score, network)
        ),
    }
    return {
        name: (agents, game, [make(game, agent) for agent, make in enumerate(makers)], make_estimator)
        for name, (agents, game, makers, make_estimator) in table.items()
    }


def broadcast_products(graph):
    """The batch matrix products of a graph, and of all functions in it, whose batch axes are not equal."""
    found = []
    for inner in function_graphs(graph):
        for operation in inner.get_operations():
            if operation.type.startswith("BatchMatMul"):
                first, second = (operand.shape for operand in operation.inputs)
                if first[:-2] != second[:-2]:
                    found.append(f"{operation.name}: {first} {second}")
    return found


def function_graphs(graph):
    """A graph and those of all functions that it calls."""
    seen, waiting = set(), [graph]
    while waiting:
        current = waiting.pop()
        yield current
        for operation in current.get_operations():
            for attribute in operation.node_def.attr.values():
                for name in [attribute.func.name, *(function.name for function in attribute.list.func)]:
                    if name and name not in seen:
                        seen.add(name)
                        waiting.append(graph._get_function(name).graph)


def measure(mode, n_seeds, n_tasks, agents, game, policies, make_estimator):
    """The entries of everything that a meta-update computes, and the graph's products that broadcast."""
    seeds = range(n_seeds)
    keys = random.root_keys(seeds)
    estimator = make_estimator(game, policies)
    tasks = mapg.PayoffNoise(game).sample(keys, n_tasks)
    initial_params = mapg.for_each_task(tuple(policy.initial_params(seeds) for policy in policies), n_tasks)

    critic_params = ((),) * game.spec.n_agents
    if isinstance(estimator, contracts.PlayingEstimator):
        critic_params = mapg.for_each_task(estimator.critic.initial_params(seeds), n_tasks)

    update_params = adaptation.init_update_params(agents, estimator, n_seeds, chain_length=1)

    def everything(initial_params, tasks, keys, critic_params):
        chain = mapg.adapt(
            estimator, agents, initial_params, tasks, [keys, random.fold_in(keys, 1)], update_params=update_params,
            critic_params=critic_params,
        )
        gradients = agents[0].meta_gradients(chain, agent_index=0)
        first, last = chain.links
        rewards = estimator.mean_rewards(last.joint_params, tasks, last.sample)
        critic_gradients = ()
        if critic_params[0]:
            with tf.GradientTape() as tape:
                tape.watch(critic_params)
                loss = estimator.critic.loss(critic_params[0], first.joint_params, first.sample.trajectory, 0)
            critic_gradients = tape.gradient(loss, critic_params[0])
        return gradients.total, rewards, critic_gradients

    compute = MODES[mode](everything)
    inputs = initial_params, tasks, keys, critic_params
    outputs = compute(*inputs)
    # Where memory is written that is not one's own, what comes next suffers.
    tf.nest.map_structure(tf.debugging.assert_equal, compute(*inputs), outputs)
    return {
        "outputs": [leaf.numpy().astype(float).ravel().tolist() for leaf in tf.nest.flatten(outputs)],
        "broadcasts": (
            broadcast_products(compute.get_concrete_function(*inputs).graph)
            if mode == "graph" else []
        ),
    }


if __name__ == "__main__":
    mode, n_seeds, n_tasks = sys.argv[1], *map(int, sys.argv[2:])
    print(json.dumps({name: measure(mode, n_seeds, n_tasks, *setting) for name, setting in settings().items()}))
