"""Estimators: what the agents' objectives are, as functions of the parameters of all agents.

The choice of an estimator is also the choice of what the inner update is a function of:

    ExactEstimator           expected reading, in closed form
    DiceEstimator            expected reading, from samples
    ScoreFunctionEstimator   sampled reading, from samples

Each brings the current-policy term of Theorem 1 that belongs to its reading (`current_policy_objective`),
so the terms of different readings, which count the same effect twice, cannot be mixed.
"""
