"""Checks where values enter the library: the structure, dtypes and shapes of what a caller passes in.

They look at what is known before anything is computed, so that nothing is added to a graph. What is right comes back
as tensors, also from NumPy arrays; what is not is an `InvalidInputError` that names the caller's own argument.
"""

from collections.abc import Callable
from collections.abc import Sequence
import numbers
from typing import Any
from typing import TypeVar

import numpy as np
import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import Params
from tf_metamapg.contracts import Structure

_Kind = TypeVar("_Kind")


def tensor(parameter: str, value: Any, dtype: str, shape: Sequence[int | str], hint: str = "") -> tf.Tensor:
    """A tensor of a given dtype and shape.

    Args:
        parameter: the name of the argument.
        value: a tensor, a variable or a NumPy array.
        dtype: the name of its dtype.
        shape: for each axis its size, or a letter for any size; "…" in front stands for any axes.
        hint: what an error says at its end.

    Returns:
        the value as a tensor.

    Raises:
        InvalidInputError: if it is none of these, or of another dtype or shape.
    """
    is_right = descriptions.is_array(value) and _dtype_name(value) == dtype and _fits(value.shape, shape)
    if not is_right:
        described = descriptions.Text(descriptions.describe(value, longest=80))
        checks.check(False, parameter, described, f"{dtype} [{', '.join(map(str, shape))}]{hint}")
    return tf.convert_to_tensor(value)


def _dtype_name(value):
    return getattr(value.dtype, "name", value.dtype)


def _fits(actual, shape):
    actual = tf.TensorShape(actual)
    if list(shape[:1]) == ["…"]:
        if actual.rank is not None and actual.rank < len(shape) - 1:
            return False
        shape = shape[1:]
        actual = actual[actual.rank - len(shape) :] if actual.rank is not None else actual
    return actual.is_compatible_with([None if isinstance(size, str) else size for size in shape])


def keys(parameter: str, value: Any, n_seeds: int | str = "S") -> tf.Tensor:
    """Keys of S seeds: int64 tensor [S, 2]; see `tensor`."""
    return tensor(parameter, value, "int64", [n_seeds, 2], ", keys of as many seeds; see random.root_keys")


def keys_of_links(parameter: str, value: Any, n_seeds: int | str) -> list[tf.Tensor]:
    """A list of keys, one for each link."""
    if descriptions.is_array(value) and len(value.shape) == 3:
        value = tf.unstack(value)
    checks.check(isinstance(value, (list, tuple)), parameter, value, "a list of keys, one for each link")
    return [keys(f"{parameter}[{link}]", link_keys, n_seeds) for link, link_keys in enumerate(value)]


def seeds(parameter: str, value: Any) -> tuple[int, ...]:
    """A tuple of integers that are seeds."""
    is_sequence = isinstance(value, (list, tuple, range)) or (isinstance(value, np.ndarray) and value.ndim == 1)
    checks.check(is_sequence and len(value) > 0, parameter, value, "a list of integers, one for each seed")
    for index, entry in enumerate(value):
        check_seed(f"{parameter}[{index}]", entry)
    return tuple(value)


def check_seed(parameter: str, value: Any) -> None:
    """Raises `InvalidInputError` unless a value is an integer in [0, 2⁶³)."""
    checks.check_integer(parameter, value, minimum=0, maximum=2**63 - 1)


def integer_scalar(parameter: str, value: Any) -> tf.Tensor:
    """An integer of 64 bits, or a tensor of one: int64 tensor []."""
    if descriptions.is_array(value):
        is_right = value.shape == () and tf.as_dtype(value.dtype).is_integer
    else:
        is_integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        is_right = is_integer and -(2**63) <= value < 2**63
    checks.check(is_right, parameter, value, "an integer of 64 bits, or a scalar tensor of one")
    return tf.cast(value, tf.int64)


def joint_params(parameter: str, value: Any, policies: Sequence[contracts.Policy]) -> JointParams:
    """Parameters of all agents' policies, adapted to tasks: JointParams with leaves [S, N, ...]."""
    checks.check_length(parameter, value, len(policies))
    sizes, checked = ["S", "N"], []
    for agent, (given, policy) in enumerate(zip(value, policies)):
        checked.append(params(f"{parameter}[{agent}]", given, policy.reference_params, sizes, "; see for_each_task"))
        if checked[-1]:
            sizes = seeds_and_tasks(checked[-1])
    return tuple(checked)


def params(
    parameter: str, value: Any, reference: Sequence[Any], leading: Sequence[int | str], hint: str = ""
) -> Params:
    """Parameters of one policy.

    Args:
        parameter: the name of the argument.
        value: a tuple of leaves, see `tensor`.
        reference: Params [...] of the same policy.
        leading: the axes that leaves have in front of those.
        hint: what an error says at its end.

    Returns:
        Params.
    """
    checks.check(
        isinstance(value, (list, tuple)) and len(value) == len(reference), parameter, value,
        f"a tuple of {len(reference)}, one for each variable",
    )
    checked = []
    for index, (leaf, own) in enumerate(zip(value, reference)):
        name = f"{parameter}[{index}]"
        checked.append(tensor(name, leaf, _dtype_name(own), [*leading, *own.shape], hint))
        if list(leading) == ["S", "N"]:
            leading = seeds_and_tasks(checked)
    return tuple(checked)


def check_leading(parameter: str, value: Any, sizes: Sequence[int | str], dtype: str = "") -> None:
    """Raises `InvalidInputError` unless a value is a structure of tensors with some leading axes, and of a dtype."""
    leaves = tf.nest.flatten(value)
    are_right = all(
        descriptions.is_array(leaf) and _fits(leaf.shape[: len(sizes)], sizes)
        and tf.as_dtype(leaf.dtype).name in (dtype or tf.as_dtype(leaf.dtype).name,) for leaf in leaves
    )
    allowed = f"of {dtype and f'{dtype} '}tensors [{', '.join(map(str, sizes))}, ...]"
    checks.check(are_right and leaves, parameter, value, allowed)


def seeds_and_tasks(structure: Structure) -> list[Any]:
    """[S, N] of parameters of which one leaf, at least, is known; a letter where it is not."""
    shape = tf.nest.flatten(structure)[0].shape
    return [letter if size is None else size for letter, size in zip("SN", shape)]


def tasks(parameter: str, value: Structure, game: contracts.AnyGame, sizes: Sequence[int | str]) -> Structure:
    """Tasks of a game: a structure like its `default_tasks`, with leading axes [S, N]; anything where it has none."""
    reference = game.default_tasks
    if not tf.nest.flatten(reference):
        return value
    in_own_dtype = tf.nest.map_structure(
        lambda leaf: np.broadcast_to(np.zeros([], _task_dtype(leaf, game.spec.dtype)), np.shape(leaf)), reference
    )
    allowed = f"like {descriptions.describe(in_own_dtype)}, with axes [S, N] in front"
    leaves = _leaves_like(parameter, value, reference, allowed)
    checked = [
        tensor(
            parameter, leaf, _task_dtype(own, game.spec.dtype), [*sizes, *np.shape(own)],
            ", as many seeds and tasks as of parameters",
        )
        for leaf, own in zip(leaves, tf.nest.flatten(reference))
    ]
    return tf.nest.pack_sequence_as(reference, checked)


def _leaves_like(parameter, value, reference, allowed):
    """The leaves of a value, which must have the structure of a reference."""
    try:
        tf.nest.assert_same_structure(reference, value, check_types=False)
    except (TypeError, ValueError):
        checks.check(False, parameter, value, allowed)
    return tf.nest.flatten(value)


def _task_dtype(leaf, dtype):
    """Floating numbers of tasks are in the dtype of the game."""
    own = tf.as_dtype(np.asarray(leaf).dtype)
    return dtype if own.is_floating else own.name


def made(
    parameter: str, make: Callable[..., Any], own_arguments: Sequence[Any], contract: type[_Kind], allowed: str
) -> _Kind:
    """What a function makes of some arguments, which must be of a kind.

    Args:
        parameter: the name of the argument that is the function.
        make: the function.
        own_arguments: what it is called with.
        contract: one of `contracts`.
        allowed: what it makes, as the end of the sentence "a function that makes …".

    Raises:
        InvalidInputError: if it is no function, or makes something else.
    """
    checks.check(callable(make), parameter, make, f"a function that makes {allowed}; without parentheses")
    return contracts.checked_kind(f"{parameter}(...)", make(*own_arguments), contract, allowed)


def check_policies(parameter: str, value: Any, contract: type, allowed: str, game_spec: contracts.GameSpec) -> None:
    """Raises `InvalidInputError` unless there is one policy for each agent, made for what it sees and does.

    Args:
        parameter: the name of the argument.
        value: a list of policies.
        contract: what they must be, one of `contracts`.
        allowed: what such policies are called.
        game_spec: `contracts.GameSpec`.
    """
    checks.check_length(parameter, value, game_spec.n_agents)
    for index, policy in enumerate(value):
        name, spec = f"{parameter}[{index}]", game_spec.agent(index)
        contracts.check_kind(name, policy, contract, allowed)
        checks.check(policy.spec == spec, name, policy, f"made for this agent of this game: for {spec}")


def table(parameter: str, value: Any, allowed: str = "an array of numbers", *, nan: bool = False) -> np.ndarray:
    """A float64 copy of a table of finite real numbers.

    Args:
        parameter: the name of the argument.
        value: array-like.
        allowed: what an error says; `nan` lets entries be NaN, too.
    """
    try:
        array: Any = None if value is None or np.iscomplexobj(value) else np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        array = None
    checks.check(array is not None, parameter, value, allowed)
    are_right = np.all(np.isfinite(array) | (nan & np.isnan(array)))
    checks.check(are_right, parameter, array.tolist(), "finite or NaN" if nan else "finite")
    return array


def check_finite_as(parameter: str, table: np.ndarray, dtype: str) -> None:
    """Raises `InvalidInputError` unless a table of finite numbers stays so when it is rounded to a dtype."""
    with np.errstate(over="ignore"):
        is_finite = np.all(np.isfinite(table.astype(dtype)))
    checks.check(is_finite, parameter, table.tolist(), f"finite as {dtype}")
