"""Critics: value estimates that are subtracted from returns to reduce variance; see `contracts.Critic`."""

from tf_metamapg.critics.base import BaselineCritic
from tf_metamapg.critics.baselines import LeaveOneOutBaseline
from tf_metamapg.critics.baselines import LinearFeatureBaseline
from tf_metamapg.critics.baselines import NoBaseline
from tf_metamapg.critics.counterfactual import CounterfactualBaseline
from tf_metamapg.critics.mean_field import MeanFieldBaseline
from tf_metamapg.critics.network_critic import NetworkCritic
from tf_metamapg.critics.recursive_reasoning import RecursiveReasoningBaseline
from tf_metamapg.critics.value_network import CentralValueNetwork
from tf_metamapg.critics.value_network import ValueNetwork

__all__ = [
    "BaselineCritic",
    "CentralValueNetwork",
    "CounterfactualBaseline",
    "LeaveOneOutBaseline",
    "LinearFeatureBaseline",
    "MeanFieldBaseline",
    "NetworkCritic",
    "NoBaseline",
    "RecursiveReasoningBaseline",
    "ValueNetwork",
]
