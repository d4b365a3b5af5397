"""The simultaneous gradient ξ = (∇ᵢVⁱ)ᵢ of all agents and its Jacobian H, whose blocks are H_ij = ∇ⱼ∇ᵢVⁱ.

Both are at a link, of one seed and task each. Values are climbed: of losses ξ and H have the other sign.
"""

from collections.abc import Sequence

import tensorflow as tf

from tf_metamapg import links
from tf_metamapg.contracts import JointParams
from tf_metamapg.contracts import Params


def simultaneous_gradient(objectives: links.Objectives) -> JointParams:
    """ξ: what each agent's naive step is along, leaves [S, N, ...]."""
    agents = range(len(objectives.by_agent))
    return tuple(objectives.gradients(agent, with_respect_to=agent) for agent in agents)


def product(objectives: links.Objectives, vectors: JointParams) -> JointParams:
    """H v, with (H v)ᵢ = ∇ᵢ ⟨∇Vⁱ, v⟩ at a fixed v: how ξ changes along v.

    Args:
        objectives: `links.Objectives` of an estimator with cross derivatives.
        vectors: v, leaves [S, N, ...].

    Returns:
        JointParams with leaves [S, N, ...], differentiable in v and the parameters of every agent.
    """
    joint_params, agents = objectives.link.joint_params, range(len(vectors))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(joint_params)
        here = objectives.recompute()
        rows = [[here.gradients(agent, with_respect_to=other) for other in agents] for agent in agents]
    return tuple(
        tape.gradient(row, params, output_gradients=vectors, unconnected_gradients="zero")
        for row, params in zip(rows, joint_params)
    )


def transposed_product(objectives: links.Objectives, vectors: JointParams) -> JointParams:
    """Hᵀ v = ∇ ⟨ξ, v⟩ at a fixed v; of v = ξ it is the gradient of ½|ξ|². See `product`."""
    links.check_cross_derivatives(objectives.estimator)
    joint_params = objectives.link.joint_params
    with tf.GradientTape() as tape:
        tape.watch(joint_params)
        gradient = simultaneous_gradient(objectives.recompute())
    return tape.gradient(gradient, joint_params, output_gradients=vectors, unconnected_gradients="zero")


def matrix(objectives: links.Objectives) -> tf.Tensor:
    """H itself, [S, N, P, P], where P counts the parameters of all agents in the order of `flattened`."""
    n_seeds, n_tasks, n_params = flattened(objectives.link.joint_params).shape
    # For each row of H a copy of the link, as if it were of other seeds.
    tasks, link = tf.nest.map_structure(
        lambda leaf: tf.repeat(leaf, n_params, axis=0), (objectives.tasks, objectives.link)
    )
    copies = links.Objectives(objectives.estimator, tasks, link)
    units = tf.eye(n_params, batch_shape=[n_seeds, n_tasks], dtype=link.joint_params[0][0].dtype)
    by_row = tf.reshape(tf.transpose(units, [0, 2, 1, 3]), [n_seeds * n_params, n_tasks, n_params])
    rows = flattened(transposed_product(copies, unflattened(by_row, link.joint_params)))
    return tf.transpose(tf.reshape(rows, [n_seeds, n_params, n_tasks, n_params]), [0, 2, 1, 3])


def flattened(structure: JointParams | Params) -> tf.Tensor:
    """All leaves [S, N, ...] side by side: [S, N, P]."""
    return tf.concat([tf.reshape(leaf, [*leaf.shape[:2], -1]) for leaf in tf.nest.flatten(structure)], axis=-1)


def unflattened(vectors: tf.Tensor, like: JointParams) -> JointParams:
    """What `flattened` makes [S, N, P] of."""
    leaves = tf.nest.flatten(like)
    parts = tf.split(vectors, [leaf.shape[2:].num_elements() for leaf in leaves], axis=-1)
    return tf.nest.pack_sequence_as(like, [tf.reshape(part, leaf.shape) for part, leaf in zip(parts, leaves)])


def inner_products(first: Sequence[Params], second: Sequence[Params]) -> tf.Tensor:
    """⟨x, y⟩ over the parameters of all agents: [S, N]."""
    products = [
        tf.reduce_sum(leaf * other, axis=list(range(2, len(leaf.shape))))
        for leaf, other in zip(tf.nest.flatten(first), tf.nest.flatten(second))
    ]
    return tf.add_n(products)
