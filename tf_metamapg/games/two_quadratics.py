"""Max of two quadratics (Wei et al. 2018): a wide hill and a narrow one that is higher, in the plane of a joint action.

Four fifths of the plane slope to the wide hill, so that agents who take the others as they are mostly climb that one:
relative overgeneralisation.
"""

import tensorflow as tf

from tf_metamapg import checks
from tf_metamapg import contracts
from tf_metamapg import descriptions
from tf_metamapg.contracts import Structure

AGENTS = (0, 1)
BOUND = 10.0  # actions are in [−10, 10]
# Of each hill: how steep it is, how wide, where its top is for both agents, and how high.
HILLS = ((0.8, 3.0, -5.0, 0.0), (1.0, 1.0, 5.0, 10.0))


class MaxOfTwoQuadratics(descriptions.Described):
    """Two agents choose a number each, once, and both get the height of the higher hill at (a⁰, a¹).

    With h, s, x, c = 0.8, 3, −5, 0 of the wide hill and 1, 1, 5, 10 of the narrow one, its height is
    c − h Σᵢ ((aⁱ − x) / s)². Numbers beyond [−10, 10] count as its ends. Nobody sees anything.

    Attributes:
        spec: `contracts.GameSpec`; its metric is `on_narrow_hill`, whether the narrow hill is the higher one there.
        default_tasks: (); its tasks do not differ.
        n_reset_uniforms: how many uniform numbers a reset takes: none.
        n_step_uniforms: how many uniform numbers a step takes: none.
    """

    default_tasks = ()
    n_reset_uniforms = n_step_uniforms = 0

    def __init__(self, dtype: str = "float32", name: str = "max of two quadratics") -> None:
        """
        Args:
            dtype: 'float32' or 'float64'.
            name: what the game is called in figures and summaries.

        Raises:
            InvalidInputError: if one of these does not hold.
        """
        contracts.check_game_numbers("MaxOfTwoQuadratics", 0.0, dtype, name)
        self.spec = contracts.GameSpec(
            name=name, discount=0.0, dtype=dtype, observations=(contracts.Discrete(1),) * len(AGENTS),
            actions=(contracts.Box((1,)),) * len(AGENTS), metrics=("on_narrow_hill",),
        )

    def reset(self, tasks: Structure, uniforms: tf.Tensor) -> tf.Tensor:
        """There is one state: int32 tensor [S, N, K] of zeros."""
        del tasks
        return tf.zeros(uniforms.shape[1:], tf.int32)

    def step(
        self, tasks: Structure, state: tf.Tensor, joint_action: tuple[tf.Tensor, ...], uniforms: tf.Tensor
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, ...], tuple[tf.Tensor, ...]]:
        """See `contracts.Game.step`."""
        del tasks, uniforms
        return state, (tf.maximum(*_heights(joint_action)),) * len(AGENTS), ()

    def observe(self, tasks: Structure, state: tf.Tensor, agent_index: int) -> tf.Tensor:
        """Nothing: zeros [S, N, K]."""
        del tasks
        checks.check_agent_index("agent_index", agent_index, len(AGENTS))
        return state

    def metrics(
        self, tasks: Structure, state: tf.Tensor, joint_action: tuple[tf.Tensor, ...]
    ) -> dict[str, tuple[tf.Tensor, ...]]:
        """See `contracts.MeasuredGame.metrics`."""
        del tasks, state
        wide, narrow = _heights(joint_action)
        return {"on_narrow_hill": (tf.cast(narrow > wide, narrow.dtype),) * len(AGENTS)}


def _heights(joint_action):
    """Of the wide hill and the narrow one at a joint action: two tensors [S, N, K]."""
    place = tf.clip_by_value(tf.concat(joint_action, axis=-1), -BOUND, BOUND)
    return [
        height - steepness * tf.reduce_sum(tf.square((place - top) / width), axis=-1)
        for steepness, width, top, height in HILLS
    ]
