"""Estimators: what the agents' objectives are, as functions of the parameters of all agents.

The choice of an estimator is also the choice of what the inner update is a function of:

    ExactEstimator           expected reading, in closed form
    DiceEstimator            expected reading, from samples
    LoadedDiceEstimator      expected reading, from samples, with less variance
    ScoreFunctionEstimator   sampled reading, from samples

Each brings the current-policy term of Theorem 1 that belongs to its reading (`current_policy_objective`),
so the terms of different readings, which count the same effect twice, cannot be mixed. In the expected
reading an agent's objective knows of all agents' parameters, and its derivatives are those of the value
to any order (`has_cross_derivatives`), from samples in expectation and with λ = 1; agents that look at the
others' gradients need that. Rothfuss et al. 2019 (ProMP) discuss the two as formulations I and II.
"""
