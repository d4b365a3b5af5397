"""Estimators: what the agents' objectives are, as functions of the parameters of all agents.

The choice of an estimator is also the choice of what the inner update is a function of:

    ExactEstimator           expected inner updates, in closed form
    DiceEstimator            expected inner updates, from samples
    LoadedDiceEstimator      expected inner updates, from samples, with less variance
    CounterfactualDiceEstimator
                             expected inner updates, from samples, with critics that see the others' actions
    ScoreFunctionEstimator   sampled inner updates

Each brings the current-policy term of Theorem 1 that belongs to its inner updates (`current_policy_objective`), so that
terms of different kinds, which count the same effect twice, cannot be mixed. With expected inner updates an agent's
objective knows of all agents' parameters, and its derivatives are those of the value to any order, from samples in
expectation and with λ = 1; agents that look at the others' gradients need that. Rothfuss et al. 2019 (ProMP) discuss
the two as formulations I and II.
"""

from tf_metamapg.estimators.counterfactual_dice import CounterfactualDiceEstimator
from tf_metamapg.estimators.dice import DiceEstimator
from tf_metamapg.estimators.exact import ExactEstimator
from tf_metamapg.estimators.expected import ExpectedUpdateEstimator
from tf_metamapg.estimators.loaded_dice import LoadedDiceEstimator
from tf_metamapg.estimators.sampled import SampledEstimator
from tf_metamapg.estimators.score_function import ScoreFunctionEstimator

__all__ = [
    "CounterfactualDiceEstimator",
    "DiceEstimator",
    "ExactEstimator",
    "ExpectedUpdateEstimator",
    "LoadedDiceEstimator",
    "SampledEstimator",
    "ScoreFunctionEstimator",
]
