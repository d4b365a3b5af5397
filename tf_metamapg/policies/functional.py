"""Keras models as pure functions of their parameters."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
from typing import Any

import keras
import tensorflow as tf

from tf_metamapg import arguments
from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.contracts import Params


def initial_params(build_model: Callable[..., keras.Model], seeds: Sequence[int]) -> Params:
    """The parameters of new models, as their initializers draw them.

    Args:
        build_model: function of an integer seed that returns a built Keras model.
        seeds: S integers; the parameters of a seed depend on that seed alone.

    Returns:
        Params with leaves [S, ...], one for each variable.

    Raises:
        InvalidInputError: if seeds are something else.
    """
    models = [build_model(seed=seed) for seed in arguments.seeds("seeds", seeds)]
    leaves = zip(*(model.trainable_variables for model in models))
    return tuple(tf.stack([tf.convert_to_tensor(variable.numpy()) for variable in leaf]) for leaf in leaves)


def check_size(parameter: str, value: Any, n_params: int, dtype: str) -> None:
    """Raises `InvalidInputError` unless so many parameters can be learned in the memory of the machine.

    Args:
        parameter: what decides how many there are.
        value: its value.
        n_params: how many parameters one network has.
        dtype: the name of their floating type.
    """
    # A network and where it starts, each as a variable and as a tensor, gradients, two moments and the next values.
    checks.check_memory(parameter, value, 8 * n_params * tf.as_dtype(dtype).size)


def agent_spec(kind: str, game: contracts.AnyGame, agent_index: int) -> contracts.AgentSpec:
    """The `contracts.AgentSpec` of an agent.

    Args:
        kind: the name of what is made for it.
        game: any game.
        agent_index: which agent of the game.

    Raises:
        InvalidInputError: if there is no such agent.
    """
    contracts.check_kind(f"{kind}.game", game, contracts.AnyGame, "a game")
    checks.check_agent_index(f"{kind}.agent_index", agent_index, game.spec.n_agents)
    return game.spec.agent(agent_index)


def is_finite(spec: contracts.AgentSpec) -> bool:
    """Whether an agent has finitely many observations and actions."""
    return isinstance(spec.observation, contracts.Discrete) and isinstance(spec.action, contracts.Discrete)


@contextlib.contextmanager
def bound(model: keras.layers.Layer, params: Params) -> Iterator[None]:
    """A context in which a model's variables have given values; what is computed can be differentiated in them.

    Unlike with Keras' own `stateless_call`, the values may have axes in front of the variables' shapes, so
    that one call serves the parameters of all seeds and tasks. Every layer of the model must broadcast
    over such axes, as those of `layers.py` do.

    Args:
        model: a built Keras model with trainable variables only.
        params: Params, one tensor [..., *shape] for each of the model's variables.

    Raises:
        InvalidInputError: if that is not what they are.
    """
    params = arguments.params("params", params, model.trainable_variables, ["…"])
    with keras.StatelessScope() as scope:
        for variable, value in zip(model.trainable_variables, params):
            scope.add_update((variable, value))
        yield


class KerasPolicy(descriptions.Described):
    """What all policies have in common: a Keras model whose parameters come from outside.

    Attributes:
        spec: `contracts.AgentSpec` of the agent that it is made for.
        reference_params: Params [...] of some new policy of this kind, always the same.
    """

    def __init__(self, build_model: Callable[..., keras.Model], spec: contracts.AgentSpec) -> None:
        """
        Args:
            build_model: function of an integer seed that returns a built Keras model, fit for `bound`.
            spec: `contracts.AgentSpec` of the agent that it is made for.
        """
        self.spec = spec
        self._build_model = build_model
        self._model = build_model(seed=0)
        # Of a seed that no run has, so that it is nobody's initial policy.
        self.reference_params = tuple(leaf[0] for leaf in self.initial_params([2**31]))

    def model(self, seed: int = 0) -> keras.Model:
        """A new Keras model of this policy, with variables of its own, as an integer seed draws them."""
        return self._build_model(seed=seed)

    def initial_params(self, seeds: Sequence[int]) -> Params:
        """Params with leaves [S, ...], drawn from S integer seeds; a seed's row depends on that seed alone."""
        return initial_params(self._build_model, seeds)
