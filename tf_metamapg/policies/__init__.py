"""Policies: Keras models behind one functional interface, which every floor above relies on:

    initial_params(seeds)                      Params [S, ...] from integer seeds
    behaviour(params)                          what exact values are a function of: π(a|o) for all
                                               observations, or a vector; differentiable in params
    model()                                    a Keras model, to be given parameters and exported
    signatures(model)                          what the exported model can be asked

and, of a policy that acts step by step:

    distribution(params, observations)         a TensorFlow Probability distribution of actions
    sampler(params)                            samples actions from uniform numbers
    log_probs(params, observations, actions)   scores actions; differentiable in params
    log_likelihood(observations, actions)      a function of params, for opponent models
    reference_params                           Params [...] that such a model starts from

`params` always come from outside: a model's own variables are never read or assigned, so that a gradient
can flow through parameters that an inner update has computed.
"""
