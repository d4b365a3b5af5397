"""What enters the library is looked at once: one line names the caller's own argument and what is allowed."""

import functools
import re

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import tf_metamapg as mapg
from tf_metamapg import adaptation
from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import theorem
from tf_metamapg.simulators.in_graph import InGraphSimulator
from tf_metamapg.training.settings import Problem
from tf_metamapg.training.settings import TrainerSettings
from tf_metamapg.training.trainer import MetaTrainer

S, N, L = 3, 4, 2
OBJECTS = (None, 3, "x", 1.5, True, (), [], {}, np.zeros([3, 4]), tf.zeros([3, 4, 5, 1]), lambda: 0, dict)


class Setting:
    """A game, and all that it takes to let two agents adapt in it."""

    def __init__(self, make_estimator, payoffs=None, dtype="float32", n_seeds=S, n_tasks=N):
        payoffs = mapg.payoffs.prisoners_dilemma() if payoffs is None else payoffs
        self.game = mapg.IteratedMatrixGame(payoffs, discount=0.96, dtype=dtype)
        agents = range(self.game.spec.n_agents)
        self.policies = [mapg.tabular_policy(self.game, agent) for agent in agents]
        self.estimator = make_estimator(self.game, self.policies)
        self.agents = [mapg.MetaMAPG(mapg.LearnedRates(0.5)) for _ in agents]
        self.keys = mapg.random.root_keys(range(n_seeds))
        self.params = tuple(policy.initial_params(range(n_seeds)) for policy in self.policies)
        self.joint_params = mapg.for_each_task(self.params, n_tasks)
        self.states = adaptation.initial_states(self.agents, self.joint_params, self.estimator)
        self.tasks = mapg.PayoffNoise(self.game).sample(self.keys, n_tasks)
        self.update_params = adaptation.init_update_params(self.agents, self.estimator, n_seeds, L)
        self.link_keys = [mapg.random.fold_in(self.keys, link) for link in range(L + 1)]


def loaded_dice(game, policies):
    return mapg.LoadedDiceEstimator(game, policies, n_trajectories=4, horizon=5)


@functools.cache
def settings():
    """The setting, and others of which nothing fits it."""
    return {
        "it": Setting(loaded_dice),
        "exact": Setting(mapg.ExactEstimator),
        "float64": Setting(loaded_dice, dtype="float64"),
        "seeds": Setting(loaded_dice, n_seeds=S - 1),
        "tasks": Setting(loaded_dice, n_tasks=N + 1),
        "actions": Setting(loaded_dice, mapg.payoffs.rock_paper_scissors()),
        "agents": Setting(loaded_dice, mapg.payoffs.public_goods(3)),
    }


@functools.cache
def chain_of(name):
    it = settings()[name]
    return mapg.adapt(it.estimator, it.agents, it.joint_params, it.tasks, it.link_keys, update_params=it.update_params)


def bad_joint_params():
    it, others = settings()["it"], settings()
    in_float64 = tuple((leaf.numpy().astype(np.float64),) for (leaf,) in it.joint_params)
    return (
        *OBJECTS, it.params, in_float64, it.joint_params[:1], it.joint_params * 2, it.joint_params[0],
        tuple(leaf for (leaf,) in it.joint_params), (it.joint_params[0] * 2, it.joint_params[1]),
        tuple((leaf.numpy().tolist(),) for (leaf,) in it.joint_params),
        tuple((tf.cast(leaf, tf.int32),) for (leaf,) in it.joint_params),
        *((it.joint_params[0], others[name].joint_params[1]) for name in ("float64", "seeds", "tasks", "actions")),
        others["agents"].joint_params,
    )


def bad_tasks():
    it, others = settings()["it"], settings()
    return (
        *OBJECTS, it.tasks[0], it.tasks[:, 0], it.game.default_tasks, it.tasks.numpy().tolist(),
        it.tasks.numpy().astype(np.float64),
        *(others[name].tasks for name in ("float64", "seeds", "tasks", "actions", "agents")),
    )


def bad_keys(with_other_seeds=True):
    it, others = settings()["it"], settings()
    other = (others["seeds"].keys,) if with_other_seeds else ()
    return (
        *OBJECTS, it.keys[0], [it.keys], tf.cast(it.keys, tf.int32), it.keys.numpy().astype(np.float32),
        it.keys.numpy().tolist(), range(S), tf.zeros([S, 3], tf.int64), *other,
    )


def bad_link_keys():
    it, others = settings()["it"], settings()
    return (
        *OBJECTS, it.keys, [it.keys[0]] * 3, [others["seeds"].keys] * 3, [it.keys, it.keys, others["seeds"].keys],
        [0, 1, 2], [tf.cast(it.keys, tf.int32)] * 3,
    )


def bad_states():
    it, others = settings()["it"], settings()
    return (
        *OBJECTS, it.joint_params, it.states[:1], it.states * 2, it.states[0], [mapg.AgentState] * 2,
        tuple(map(tuple, it.states)), tuple(map(mapg.AgentState, it.params)),
        tuple(map(mapg.AgentState, bad_joint_params()[-1])),
        *((it.states[0], others[name].states[1]) for name in ("float64", "seeds", "tasks", "actions")),
    )


def bad_rates(n_steps):
    """What are not two tensors [S, n_steps], or [S] without steps; nor None."""
    it = settings()["it"]
    rates = [tf.ones([S, *n_steps])] * 2
    return (
        *OBJECTS[1:], rates[:1], (1.0, 1.0), [[1.0] * S] * 2, [tf.ones([S - 1, *n_steps])] * 2,
        [tf.ones([S, *n_steps, 1])] * 2, [tf.ones([S, *n_steps], tf.float64)] * 2, [tf.ones([])] * 2, (rates[0], 1.0),
        ((), rates[1]), ((rates[0],), rates[1]), *([] if n_steps else [it.update_params]),
    )


def bad_estimators():
    it = settings()["it"]
    return (*OBJECTS, mapg.ExactEstimator, loaded_dice, it.game, it.policies[0], it.estimator.simulator)


def bad_agents():
    it = settings()["it"]
    return (*OBJECTS, it.agents[:1], it.agents * 2, it.agents[0], [mapg.MetaMAPG] * 2, it.policies)


def bad_links():
    link = chain_of("it").links[0]
    return (
        *OBJECTS, chain_of("it"), tuple(link), link.with_joint_params(settings()["it"].params),
        *(link._replace(agent_states=states) for states in bad_states()),
    )


def bad_policies():
    it, others = settings()["it"], settings()
    return (
        *OBJECTS, it.policies[:1], it.policies * 2, it.policies[0], [mapg.tabular_policy] * 2,
        [type(it.policies[0])] * 2,
        [it.policies[0], None], [it.policies[0], others["actions"].policies[1]], others["float64"].policies,
        others["agents"].policies, [mapg.mlp_policy(others["agents"].game, 0)] * 2,
        [mapg.lstm_policy(others["actions"].game, 0)] * 2,
    )


NO_INDEX = (None, -1, 2, "0", 0.0, True, float("nan"), [0], np.int64(-1), tf.constant(0))
NO_SIZE = (None, 0, -1, 1.5, 2.0, "3", True, [2], float("nan"))
NO_SEEDS = (
    None, 3, "ab", (), [], [-1], [0, -2], [1.5], [True], [2**63], [None], ["0"], [float("nan")], [[0]], {0: 1},
    np.zeros([2]), np.zeros([2, 2], int), np.array([np.inf]), tf.constant([0, 1]),
)
NO_CRITIC_PARAMS = (3, "x", ((),), ((), (), ()))
NO_PHASE = (-1, 3, None, "meta-test", 1.5, True)


def doors():
    """(name, function, arguments that are right, by argument those that are not)."""
    it = settings()["it"]
    chain, link = chain_of("it"), chain_of("it").links[0]
    objectives = mapg.Objectives(it.estimator, it.tasks, link)
    at_link = {"joint_params": it.joint_params, "tasks": it.tasks, "keys": it.keys}
    no_link = {"joint_params": bad_joint_params(), "tasks": bad_tasks(), "keys": bad_keys()}
    chain_arguments = {"chain": chain, "agent_index": 0}
    no_chain = {"chain": (*OBJECTS, chain.links, link, it.estimator), "agent_index": NO_INDEX}
    draw, no_draw = {"keys": it.keys, "n_tasks": 2}, {"keys": bad_keys(with_other_seeds=False), "n_tasks": NO_SIZE}
    yield "adapt", mapg.adapt, {
        "estimator": it.estimator, "agents": it.agents, "initial_params": it.joint_params, "tasks": it.tasks,
        "keys": it.link_keys, "update_params": it.update_params, "critic_params": ((), ()),
    }, {
        "estimator": bad_estimators(), "agents": bad_agents(), "initial_params": bad_joint_params(),
        "tasks": bad_tasks(), "keys": bad_link_keys(), "update_params": bad_rates([L]),
        "critic_params": NO_CRITIC_PARAMS, "compile_fn": (None, 3, "tf.function"),
    }
    yield "sample_link", mapg.sample_link, {
        "estimator": it.estimator, "agent_states": it.states, "tasks": it.tasks, "keys": it.keys,
        "critic_params": ((), ()),
    }, {
        "estimator": bad_estimators(), "agent_states": bad_states(), "tasks": bad_tasks(), "keys": bad_keys(),
        "critic_params": NO_CRITIC_PARAMS,
    }
    yield "inner_update", mapg.inner_update, {
        "objectives": objectives, "agents": it.agents, "step_params": [of[:, 0] for of in it.update_params],
    }, {"objectives": (*OBJECTS, link), "agents": bad_agents(), "step_params": (None, *bad_rates([]))}
    yield "Objectives", mapg.Objectives, {"estimator": it.estimator, "tasks": it.tasks, "link": link}, {
        "estimator": bad_estimators(), "link": bad_links(),
    }
    yield "Objectives.gradients", objectives.gradients, {"agent_index": 0, "with_respect_to": 1}, {
        "agent_index": NO_INDEX, "with_respect_to": NO_INDEX,
    }
    yield "for_each_task", mapg.for_each_task, {"joint_params": it.params, "n_tasks": N}, {
        "joint_params": (None, 3, "x", (1.0,), tf.zeros([]), ((3,),)), "n_tasks": NO_SIZE,
    }
    yield "theorem", theorem.meta_gradients, {**chain_arguments, "value_weights": (0.0, 1.0, 1.0)}, {
        **no_chain,
        "value_weights": (*OBJECTS, (0.0,), (0.0, 1.0, 1.0, 1.0), (0.0, None, 1.0), (0.0, float("nan"), 1.0), "abc"),
    }
    yield "MetaMAPG.meta_gradients", it.agents[1].meta_gradients, chain_arguments, no_chain
    yield "MaximumLikelihood.estimate", mapg.MaximumLikelihood(max_iterations=1).estimate, {
        "estimator": it.estimator, "link": link, "agent_index": 0,
        "known": mapg.MaximumLikelihood().init(it.estimator, 0, [S, N]),
    }, {"estimator": bad_estimators(), "link": bad_links(), "agent_index": NO_INDEX, "known": (None, 3, ())}
    for agent in (
        mapg.PolicyGradient(), mapg.Fixed(), mapg.LookAhead(), mapg.LOLADiCE(), mapg.LOLAShaping(), mapg.LOLATaylor(),
        mapg.SOS(), mapg.Extragradient(), mapg.ConsensusOptimization(), mapg.SymplecticGradientAdjustment(),
        mapg.CompetitiveGradientDescent(), mapg.HOLA(), mapg.POLA(), mapg.MetaPG(), mapg.MetaMAPG(),
        mapg.FirstOrderMetaPG(), mapg.FirstOrderMetaMAPG(),
    ):
        yield f"{type(agent).__name__}.gradients", agent.gradients, {
            "objectives": objectives, "agent_index": 0,
        }, {"agent_index": NO_INDEX}
    for name in ("it", "exact"):
        estimator = settings()[name].estimator
        kind = type(estimator).__name__
        sample = estimator.sample(**at_link)
        given = {"joint_params": it.joint_params, "tasks": it.tasks, "sample": sample}
        no_sample = (*OBJECTS, link, (), chain_of("it"))
        wrong = {"joint_params": bad_joint_params(), "tasks": bad_tasks()}
        wrong_of_values = wrong_of_rewards = wrong
        if name == "it":
            wrong = {"joint_params": bad_joint_params(), "sample": no_sample}
            wrong_of_values = {"sample": no_sample}
            wrong_of_rewards = {"sample": no_sample, "joint_params": (*OBJECTS[:9], it.joint_params[0][0][0])}
        yield f"{kind}.sample", estimator.sample, at_link, no_link
        yield f"{kind}.objectives", estimator.objectives, given, wrong
        yield f"{kind}.values", estimator.values, given, wrong_of_values
        yield f"{kind}.mean_rewards", estimator.mean_rewards, given, wrong_of_rewards
        yield f"{kind}.current_policy_objective", estimator.current_policy_objective, {
            "joint_params": it.joint_params, "sample": sample, "agent_index": 0, "later_values": tf.zeros([S, N]),
        }, {"agent_index": NO_INDEX}
    in_game = {"game": it.game, "policies": it.policies}
    no_game = (*OBJECTS, mapg.IteratedMatrixGame, mapg.bilinear_game, it.policies[0])
    yield "ExactEstimator", mapg.ExactEstimator, in_game, {"game": no_game, "policies": bad_policies()}
    for kind in (
        mapg.CounterfactualDiceEstimator, mapg.DiceEstimator, mapg.LoadedDiceEstimator, mapg.ScoreFunctionEstimator,
    ):
        yield kind.__name__, kind, {
            **in_game, "critic": mapg.LeaveOneOutBaseline, "simulator": InGraphSimulator,
        }, {
            "game": no_game, "policies": bad_policies(),
            "critic": (*OBJECTS[:-2], it.estimator.critic, lambda spec, policies: None, lambda *_: mapg.NoBaseline),
            "simulator": (*OBJECTS[:-2], it.estimator.simulator, lambda *_: None, lambda *_: InGraphSimulator),
            "n_trajectories": NO_SIZE, "horizon": NO_SIZE,
        }
    yield "LoadedDiceEstimator", mapg.LoadedDiceEstimator, in_game, {
        "gae_lambda": (None, -0.1, 1.1, "1", float("nan")),
    }
    yield "InGraphSimulator", InGraphSimulator, {**in_game, "n_trajectories": 2, "horizon": 3}, {
        "game": (*no_game, mapg.bilinear_game()), "policies": bad_policies(), "n_trajectories": NO_SIZE,
        "horizon": NO_SIZE,
    }
    yield "root_keys", mapg.random.root_keys, {"seeds": [0, 2**63 - 1]}, {"seeds": NO_SEEDS}
    yield "initial_params", it.policies[0].initial_params, {"seeds": np.arange(2)}, {"seeds": NO_SEEDS}
    yield "fold_in", mapg.random.fold_in, {"keys": it.keys, "data": -1}, {
        "keys": bad_keys(with_other_seeds=False),
        "data": (None, 1.5, "a", True, 2**63, -(2**63) - 1, [1], tf.constant(1.0), tf.constant([1]), np.float32(1)),
    }
    yield "uniforms", mapg.random.uniforms, {"keys": it.keys, "shape": [2], "dtype": "float32"}, {
        "keys": bad_keys(with_other_seeds=False), "shape": (None, 3, "x", [1.5], [-1], [None]),
        "dtype": (None, "int32", "x", 3, tf.float16, np.int32), "seed_axis": (None, -1, 2, 1.5, True),
    }
    yield "integer_seed", mapg.random.integer_seed, {"seed": 0, "stream": 1}, {
        "seed": (None, -1, 1.5, "a", True), "stream": (None, -1, 1.5, "a", True),
    }
    for kind in (mapg.DefaultTasks, mapg.PayoffNoise):
        yield kind.__name__, kind, {"game": it.game}, {"game": no_game}
        yield f"{kind.__name__}.sample", kind(it.game).sample, draw, no_draw
    for kind in (mapg.Personas, mapg.NormalPolicies):
        policy = it.policies[0]
        yield kind.__name__, kind, {"policy": policy}, {"policy": (*OBJECTS, mapg.tabular_policy, type(policy))}
        yield f"{kind.__name__}.sample", kind(policy).sample, {"phase": 0, **draw}, {"phase": NO_PHASE, **no_draw}
    yield "exact_values", it.game.exact_values, {
        "tasks": it.tasks,
        "strategies": [policy.strategy(own) for policy, own in zip(it.policies, it.joint_params)],
    }, {"tasks": bad_tasks(), "strategies": (*OBJECTS, it.joint_params, [np.full([S, N, 5, 2], 0.5)])}
    yield "logits", it.policies[0].logits, {"params": it.joint_params[0]}, {
        "params": (
            *(own for own in OBJECTS if not tf.is_tensor(own)), it.joint_params[0] * 2,
            settings()["actions"].joint_params[0], settings()["float64"].joint_params[0], (np.zeros([1]),),
        ),
    }
    parts = {**in_game, "agents": it.agents, "estimator": it.estimator, "task_distribution": mapg.PayoffNoise(it.game)}
    yield "Problem", Problem, parts, {
        "game": no_game, "policies": bad_policies(), "agents": bad_agents(), "estimator": bad_estimators(),
        "task_distribution": (*OBJECTS, mapg.PayoffNoise, it.game),
        "populations": (3, "x", [None], [None] * 3, [None, mapg.Personas]),
    }
    # Who learns nothing but where it starts cannot start from a population.
    yield "Problem of initial policies alone", Problem, {**parts, "agents": [mapg.MetaMAPG(0.5) for _ in it.agents]}, {
        "populations": ([mapg.Personas(it.policies[0]), None],),
    }
    yield "TrainerSettings", TrainerSettings, {}, {
        "chain_length": (None, -1, 1.5, "1"), "n_tasks": NO_SIZE, "meta_learning_rate": (None, -1, "a", float("nan")),
        "update_meta_learning_rate": (-1, "a", float("nan")), "max_gradient_norm": (0, -1, "a", float("inf")),
        "jit_compile": (None, 1, "yes"),
    }
    yield "MetaTrainer", MetaTrainer, {
        "problem": Problem(**parts), "settings": TrainerSettings(n_tasks=2, jit_compile=False), "seeds": [0, 1],
    }, {
        "problem": (*OBJECTS, Problem, parts), "settings": (*OBJECTS, TrainerSettings, Problem(**parts)),
        "seeds": NO_SEEDS,
    }


class DoorsTest(tf.test.TestCase, parameterized.TestCase):

    def test_every_bad_argument_is_named_in_one_line(self):
        n_values, failures = 0, []
        for name, function, right, wrong in doors():
            function(**right)
            for argument, values in wrong.items():
                for value in values:
                    n_values += 1
                    try:
                        function(**{**right, argument: value})
                        failures.append(f"{name} takes {argument} = {value}")
                    except checks.InvalidInputError as error:
                        # What an update is made with is looked at by the agent that makes it.
                        own = "(update_params|step_params)" if argument == "update_params" else argument
                        line = rf"(\w+\.)?{own}[\w.\[\]]*(\(\.\.\.\))? = .*: must be .{{,300}}"
                        if not re.fullmatch(line, str(error)):
                            failures.append(f"{name}, {argument} = {value}: {error}")
                    except Exception as error:  # Whatever is raised inside is what must not be seen.
                        failures.append(f"{name}, {argument} = {value}: {error!r}")
        self.assertEmpty(failures)
        self.assertGreater(n_values, 1000)

    @parameterized.parameters("seeds", "tasks")
    def test_other_numbers_of_seeds_or_tasks(self, name):
        it, other = settings()["it"], settings()[name]
        shape = list(other.tasks.shape)
        others = {"estimator": it.estimator, "tasks": it.tasks}
        for function, arguments_ in (
            (mapg.adapt, {"agents": it.agents, "initial_params": other.joint_params, "keys": it.link_keys}),
            (mapg.sample_link, {"agent_states": other.states, "keys": it.keys}),
        ):
            with self.assertRaises(checks.InvalidInputError) as caught:
                function(**others, **arguments_)
            self.assertRegex(
                str(caught.exception),
                rf"^tasks = float32 \[3, 4, 2, 2, 2\]: must be float32 \[{shape[0]}, {shape[1]}, 2, 2, 2\]|"
                rf"^keys = int64 \[3, 2\]: must be int64 \[{shape[0]}, 2\]",
            )

    def test_a_forgotten_for_each_task(self):
        it = settings()["it"]
        with self.assertRaises(checks.InvalidInputError) as caught:
            mapg.adapt(it.estimator, it.agents, it.params, it.tasks, it.link_keys)
        self.assertEqual(
            str(caught.exception),
            "initial_params[0][0] = float32 [3, 5, 1]: must be float32 [S, N, 5, 1]; see for_each_task",
        )

    def test_a_policy_of_another_game(self):
        it, other = settings()["it"], settings()["actions"]
        with self.assertRaises(checks.InvalidInputError) as caught:
            mapg.LoadedDiceEstimator(it.game, [it.policies[0], other.policies[1]])
        self.assertRegex(
            str(caught.exception),
            r"^LoadedDiceEstimator\.policies\[1\] = TabularPolicy.*: must be made for this agent of this game: for "
            r"AgentSpec\(observation=Discrete\(n=5\), action=Discrete\(n=2\), dtype='float32'\)$",
        )

    @parameterized.parameters("it", "exact")
    def test_arrays_are_as_good_as_tensors(self, name):
        it = settings()[name]

        def in_numpy(structure):
            return tf.nest.map_structure(lambda leaf: leaf.numpy(), structure)

        chain = mapg.adapt(
            it.estimator, it.agents, in_numpy(it.joint_params), in_numpy(it.tasks), in_numpy(it.link_keys),
            update_params=in_numpy(it.update_params),
        )
        tf.nest.map_structure(self.assertAllEqual, chain.links[-1].joint_params, chain_of(name).links[-1].joint_params)
        link = chain.links[0].with_joint_params(in_numpy(it.joint_params))
        objectives = mapg.Objectives(it.estimator, in_numpy(it.tasks), link)
        updated = mapg.inner_update(objectives, it.agents, [rates[:, 0].numpy() for rates in it.update_params])
        tf.nest.map_structure(self.assertAllEqual, updated, chain.links[1].agent_states)
        sampled = mapg.sample_link(it.estimator, link.agent_states, in_numpy(it.tasks), it.keys.numpy())
        tf.nest.map_structure(self.assertAllEqual, sampled.joint_params, it.joint_params)
        stacked = mapg.adapt(it.estimator, it.agents, it.joint_params, it.tasks, tf.stack(it.link_keys))
        tf.nest.map_structure(self.assertAllEqual, stacked.links[-1].joint_params, chain.links[-1].joint_params)

    def test_nothing_is_added_to_a_graph(self):
        it = settings()["it"]

        @tf.function(autograph=False)
        def check(joint_params, tasks, keys):
            joint_params = arguments.joint_params("joint_params", joint_params, it.policies)
            sizes = arguments.seeds_and_tasks(joint_params)
            return (
                joint_params, arguments.tasks("tasks", tasks, it.game, sizes), arguments.keys("keys", keys, sizes[0])
            )

        graph = check.get_concrete_function(it.joint_params, it.tasks, it.keys).graph
        self.assertEqual({operation.type for operation in graph.get_operations()}, {"Placeholder", "Identity"})

    def test_sizes_that_are_not_known(self):
        """Within a graph what is not known cannot be wrong."""
        policies = settings()["it"].policies

        @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, None, 5, 1])])
        def check(leaf):
            sizes = arguments.seeds_and_tasks(arguments.joint_params("joint_params", ((leaf,), (leaf,)), policies))
            self.assertEqual(sizes, ["S", "N"])
            return leaf

        check(tf.zeros([2, 3, 5, 1]))


if __name__ == "__main__":
    tf.test.main()
