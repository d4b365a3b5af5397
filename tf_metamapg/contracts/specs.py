"""What agents see and do: what one has to know of a game to make policies for it."""

import dataclasses

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import descriptions


@dataclasses.dataclass(frozen=True)
class Discrete:
    """One of n things, such as actions: int32 tensors [...] of numbers in [0, n).

    Attributes:
        n: how many things there are.
    """

    n: int

    def __post_init__(self) -> None:
        checks.check_integer("Discrete.n", self.n, minimum=1)

    def tensor_spec(self, dtype: str) -> tf.TensorSpec:
        """The TensorSpec of one of them, [], in a game of some floating dtype."""
        del dtype
        return tf.TensorSpec([], tf.int32)


@dataclasses.dataclass(frozen=True)
class Box:
    """An array of numbers: a vector (size,) or an image (height, width, channels), in the dtype of its game.

    Attributes:
        shape: the sizes of its axes.
    """

    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        is_shape = isinstance(self.shape, (list, tuple)) and len(self.shape) > 0
        checks.check(is_shape, "Box.shape", self.shape, "a tuple of sizes, such as (3,) for vectors of three numbers")
        for size in self.shape:
            checks.check_integer("Box.shape", size, minimum=1)
        object.__setattr__(self, "shape", tuple(self.shape))

    def tensor_spec(self, dtype: str) -> tf.TensorSpec:
        """The TensorSpec of one of them, [*shape], in a game of some floating dtype."""
        return tf.TensorSpec(self.shape, dtype)


Space = Discrete | Box


@dataclasses.dataclass(frozen=True)
class AgentSpec:
    """What one agent of a game sees and does.

    Attributes:
        observation: what it sees.
        action: what it does.
        dtype: of the game.
    """

    observation: Space
    action: Space
    dtype: str


@dataclasses.dataclass(frozen=True, kw_only=True)
@descriptions.described
class GameSpec:
    """What one has to know of a game to make policies for it.

    Attributes:
        name: what the game is called in figures and summaries.
        discount: γ, in [0, 1); where the game ends also 1, if every episode surely does.
        dtype: of everything that is not a whole number: 'float32' or 'float64'.
        observations: what each agent sees at one step.
        actions: what each agent does at one step.
        ends: whether episodes can end; where they cannot, nothing is computed for it.
        metrics: names of what else is reported for each agent, such as the rate of cooperation: means over the steps
            where it is defined, see `MeasuredGame.metrics`.
    """

    name: str
    discount: float
    dtype: str
    observations: tuple[Space, ...]
    actions: tuple[Space, ...]
    ends: bool = False
    metrics: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        checks.check_boolean("GameSpec.ends", self.ends)
        check_game_numbers("GameSpec", self.discount, self.dtype, self.name, self.ends)
        is_sequence = isinstance(self.observations, (list, tuple)) and len(self.observations) > 0
        checks.check(is_sequence, "GameSpec.observations", self.observations, "a tuple, one space for each agent")
        checks.check_length("GameSpec.actions", self.actions, len(self.observations))
        for field in ("observations", "actions"):
            for index, space in enumerate(getattr(self, field)):
                is_space = isinstance(space, (Discrete, Box))
                checks.check(is_space, f"GameSpec.{field}[{index}]", space, "a Discrete or a Box")
            object.__setattr__(self, field, tuple(getattr(self, field)))
        are_names = isinstance(self.metrics, (list, tuple)) and all(isinstance(name, str) for name in self.metrics)
        checks.check(are_names, "GameSpec.metrics", self.metrics, "a tuple of names")
        for name in self.metrics:
            checks.check(name.isidentifier(), "GameSpec.metrics", name, "names of letters, digits and underscores")
            checks.check(name != "average_reward", "GameSpec.metrics", name, "another name, as rewards have this one")
        checks.check(len(set(self.metrics)) == len(self.metrics), "GameSpec.metrics", self.metrics, "different names")
        object.__setattr__(self, "metrics", tuple(self.metrics))

    @property
    def n_agents(self) -> int:
        """How many agents play."""
        return len(self.observations)

    def agent(self, agent_index: int) -> AgentSpec:
        """What one agent sees and does.

        Raises:
            InvalidInputError: if there is no such agent.
        """
        checks.check_agent_index("agent_index", agent_index, self.n_agents)
        return AgentSpec(self.observations[agent_index], self.actions[agent_index], self.dtype)


def check_game_numbers(kind: str, discount: float, dtype: str, name: str, ends: bool = False) -> None:
    """Raises `InvalidInputError` unless a game's discount, dtype and name are such.

    Args:
        kind: the name of what has these parameters.
        discount: γ.
        dtype: the name of a floating dtype.
        name: what the game is called.
        ends: whether its episodes can end.
    """
    checks.check_number(f"{kind}.discount", discount)
    checks.check_dtype(f"{kind}.dtype", dtype)
    checks.check_name(f"{kind}.name", name)
    if ends and discount == 1.0:
        return
    allowed = "in [0, 1]" if ends else "in [0, 1)"
    checks.check(0.0 <= discount < 1.0, f"{kind}.discount", discount, allowed)
    as_dtype = float(tf.constant(discount, dtype))
    checks.check(as_dtype < 1.0, f"{kind}.discount", discount, f"{allowed} when rounded to {dtype}")
