"""Critics: value estimates that are subtracted from returns to reduce variance; see `contracts.Critic`."""

from tf_metamapg.critics.base import BaselineCritic
from tf_metamapg.critics.baselines import LeaveOneOutBaseline
from tf_metamapg.critics.baselines import LinearFeatureBaseline
from tf_metamapg.critics.baselines import NoBaseline
from tf_metamapg.critics.value_network import ValueNetwork

__all__ = [
    "BaselineCritic",
    "LeaveOneOutBaseline",
    "LinearFeatureBaseline",
    "NoBaseline",
    "ValueNetwork",
]
