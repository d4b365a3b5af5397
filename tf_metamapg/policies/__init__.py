"""Policies: Keras models behind one functional interface, which every floor above relies on:

    spec                                       `features.AgentSpec` of the agent that it is made for
    initial_params(seeds)                      Params [S, ...] from integer seeds
    reference_params                           Params [...] of some new policy that is nobody's initial one
    model()                                    a Keras model, to be given parameters and exported
    signatures(model)                          what the exported model can be asked

of a policy for exact values

    strategy(params)                          what exact values are a function of: π(a|o) for all
                                               observations, in float64, or a vector; differentiable in params

and of a policy that acts step by step:

    n_uniforms                                 how many uniform numbers an action takes
    initial_state(shape)                      what it remembers before the first step: a tuple of tensors
    sampler(params)                            a function (observations, memory, uniforms) → (actions, memory)
    distribution(params, observations)         a TensorFlow Probability distribution of actions
    log_probs(params, observations, actions)   scores whole trajectories; differentiable in params
    log_likelihood(observations, actions)      a function of params, for opponent models

`params` always come from outside: a model's own variables are never read or assigned, so that a gradient
can flow through parameters that an inner update has computed.
"""
