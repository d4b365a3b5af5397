"""Lets a critic learn from given trajectories, as a trainer does."""

import keras
import tensorflow as tf

from tf_metamapg import adaptation


def fitted(critic, seeds, trajectory, n_updates):
    """What a critic's parameters become: for each agent Params with leaves [S, ...]."""
    variables = tf.nest.map_structure(keras.Variable, critic.initial_params(seeds))
    optimizer = keras.optimizers.Adam(critic.learning_rate)
    optimizer.build(tf.nest.flatten(variables))
    n_tasks = trajectory.rewards[0].shape[1]

    def values():
        return tf.nest.map_structure(lambda variable: tf.convert_to_tensor(variable.value), variables)

    @tf.function(autograph=False)
    def update():
        params = values()
        with tf.GradientTape() as tape:
            tape.watch(params)
            repeated = adaptation.for_each_task(params, n_tasks)
            losses = [critic.loss(own, None, trajectory, agent) for agent, own in enumerate(repeated)]
            loss = tf.reduce_sum(tf.add_n(losses)) / n_tasks
        optimizer.apply(tape.gradient(loss, tf.nest.flatten(params)))

    for _ in range(n_updates):
        update()
    return values()
