"""Exports agents that go on learning where they are served, as SavedModels that need TensorFlow and nothing else.

Nothing is kept in them: what an agent is at a step is its state, tensors by name, which `initial_state` and `learn`
return and `act` and `learn` take. Signatures, for B observations and for K trajectories of T steps of n agents:

    initial_state()                           → the state: n_updates, int32; params_0, …; extra_0, …
    act(observations, seed, state…)           [B, *observation], int32 [2] → {"actions": [B, *action]}
    learn(observations_0, …, actions_0, …, rewards_0, …, mask_0, …, seed, state…)
                                              [K, T, *observation], [K, T, *action], [K, T], bool [K, T], int32 [2]
                                              → the state after the agent's own inner update

`learn` is the agent's `update`, the very code that it was trained with, on what all agents of the game saw, did and
got, each numbered as in the game. There is a mask only in games that end: whether each agent was there at the step. Any
K ≥ 1 and T ≥ 1 will do, for each call other ones; where an estimator's baseline comes from the other trajectories,
there is none for K = 1. What the others' parameters are nobody knows, so that an agent is refused whose update depends
on them (`reads_others`), and so is one whose update plays the game (`plays_ahead`). Learned update meta-parameters are
those of the step `n_updates`, and beyond the last those of the last one. `extra_0`, … is what else the agent remembers,
such as moments of its optimiser, or its critic; a critic of the estimator, which learns in training alone, stays
as it is. That TensorFlow says of a SavedModel that custom gradients are not saved does not matter: none are needed.

Of a recurrent policy `act` also takes the recurrent state, `recurrent_0`, …, and returns the next one, and there is

    initial_recurrent_state(batch_size)       int32 → {"recurrent_0": [B, ...], …}

Leaves of parameters stand in the order of the arrays that `export.py` writes. Where an observation is out of range, or
anything is not finite, the action is −1 or NaN. Where anything counts for `learn` that cannot be, the state that it
returns is none: NaN, and −1 updates; the one before is still there to go on with.
"""

import contextlib
import os
import shutil
import tempfile

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Structure
from tf_metamapg.runs import export
from tf_metamapg.runs import files
from tf_metamapg.runs.served_agent import ServedAgent
from tf_metamapg.training.settings import Problem
from tf_metamapg.training.trainer import MetaTrainer


def export_learning_agent(
    path: files.PathLike, agent: contracts.Agent, estimator: contracts.Estimator, agent_index: int, params: Params,
    *, update_params: Structure | None = None, critic_params: JointParams = (),
) -> None:
    """Writes one agent as a SavedModel that goes on learning.

    Args:
        path: the directory to write.
        agent: how it learns.
        estimator: what its updates are estimated by; it does not play.
        agent_index: which agent of the game it is.
        params: Params with leaves [...], of one seed, that it begins with.
        update_params: what its updates are made with, leaves [L, ...]; by default as the agent begins.
        critic_params: for each agent the parameters of the estimator's critic, leaves [...]; () where none learns.

    Raises:
        InvalidInputError: if the agent cannot be served, or one of these is something else.
    """
    with _saved(f"agents[{agent_index}]", agent, estimator, agent_index, params, update_params, critic_params) as saved:
        with files.atomic(path) as aside:
            shutil.copytree(saved, aside)


def check_agents(problem: Problem) -> None:
    """Saves the agents of a problem for a trial, so that what cannot be served is known before it has been trained.

    Raises:
        InvalidInputError: if one of them cannot be served.
    """
    estimator = _checked_estimator(problem.estimator)
    critic_params = tf.nest.map_structure(lambda leaf: leaf[0], estimator.critic.initial_params([0]))
    for index in _served(problem):
        agent, name = problem.agents[index], f"agents[{index}]"
        try:
            with _saved(
                name, agent, estimator, index, problem.policies[index].reference_params, None, critic_params
            ):
                pass
        except (checks.InvalidInputError, *export.DISK_ERRORS):
            raise
        except Exception as error:
            raise checks.InvalidInputError(
                f"{name} = {checks.brief(agent)}: must be one that can be exported with its estimator, its critic and "
                f"the policies ({checks.reason(error)})"
            ) from error


def export_agents(
    directory: files.PathLike, trainer: MetaTrainer, seed_index: int, joint_params: JointParams
) -> None:
    """Writes the agents of one seed as `agent_0`, `agent_1`, …, but for those of populations.

    Args:
        directory: made if it does not exist.
        trainer: what has trained them.
        seed_index: which of its seeds.
        joint_params: what they begin with, leaves [S, ...].
    """
    os.makedirs(directory, exist_ok=True)
    problem, meta_params = trainer.problem, trainer.meta_param_values()
    values = meta_params, trainer.critic.values(), joint_params
    meta_params, critic_params, joint_params = tf.nest.map_structure(lambda leaf: leaf[seed_index], values)
    for index in _served(problem):
        export_learning_agent(
            os.path.join(directory, f"agent_{index}"), problem.agents[index], problem.estimator, index,
            joint_params[index], update_params=meta_params[index].update, critic_params=critic_params,
        )


def _served(problem):
    """The indices of the agents that start every task from a policy of their own."""
    return [index for index, population in enumerate(problem.populations) if population is None]


def _checked_estimator(estimator):
    allowed = "one from trajectories, such as LoadedDiceEstimator, for agents to go on learning where they are served"
    return contracts.checked_kind("estimator", estimator, contracts.PlayingEstimator, allowed)


@contextlib.contextmanager
def _saved(parameter, agent, estimator, agent_index, params, update_params, critic_params):
    """A SavedModel in a temporary directory, since TensorFlow cannot write below every name there is.

    Args:
        parameter: what the agent is called in an error.
        agent, estimator, agent_index, params, update_params, critic_params: see `export_learning_agent`.

    Yields:
        its path.
    """
    purpose = "to go on learning where it is served (export_learning)"
    checks.check(not agent.plays_ahead, parameter, agent, f"an agent whose update plays no game, {purpose}")
    allowed = f"one that does not read the others' parameters, as with opponent_model=MaximumLikelihood(), {purpose}"
    checks.check(not agent.reads_others, parameter, agent, allowed)
    estimator = _checked_estimator(estimator)
    served = ServedAgent(agent, estimator, agent_index, params, update_params, critic_params)
    with tempfile.TemporaryDirectory() as directory:
        saved_model = os.path.join(directory, "saved_model")
        functions = {
            name: tf.function(function, input_signature=specs, autograph=False)
            for name, (function, specs) in served.signatures().items()
        }
        # What is differentiated has been; nobody differentiates what is loaded.
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(tf.Module(), saved_model, signatures=functions, options=options)
        yield saved_model
