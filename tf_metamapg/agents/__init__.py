"""Agents: how each learns within a chain, and which terms of Theorem 1 a meta-agent learns its initial policy by.

An agent is a direction (naive, anticipating, shaping), an optimiser that makes a step of it, and the length of that
step; see `contracts.Agent` and `agents/base.py`.
"""

from tf_metamapg.agents.actor_critic import AdvantageActorCritic
from tf_metamapg.agents.actor_critic import PPO
from tf_metamapg.agents.base import GradientAgent
from tf_metamapg.agents.fixed import Fixed
from tf_metamapg.agents.learning_rates import ConstantRate
from tf_metamapg.agents.learning_rates import LearnedRates
from tf_metamapg.agents.learning_rates import LearnedRatesPerParameter
from tf_metamapg.agents.lola_dice import LOLADiCE
from tf_metamapg.agents.lola_shaping import LOLAShaping
from tf_metamapg.agents.lola_taylor import LOLATaylor
from tf_metamapg.agents.look_ahead import LookAhead
from tf_metamapg.agents.meta_mapg import MetaMAPG
from tf_metamapg.agents.meta_pg import MetaPG
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.agents.opponent_models import MaximumLikelihood
from tf_metamapg.agents.optimizers import Adam
from tf_metamapg.agents.optimizers import Momentum
from tf_metamapg.agents.optimizers import RMSProp
from tf_metamapg.agents.optimizers import SGD
from tf_metamapg.agents.sos import SOS
from tf_metamapg.theorem import last_link
from tf_metamapg.theorem import mean_over_chain

__all__ = [
    "Adam",
    "AdvantageActorCritic",
    "ConstantRate",
    "Fixed",
    "GradientAgent",
    "LOLADiCE",
    "LOLAShaping",
    "LOLATaylor",
    "LearnedRates",
    "LearnedRatesPerParameter",
    "LookAhead",
    "MaximumLikelihood",
    "MetaMAPG",
    "MetaPG",
    "Momentum",
    "PPO",
    "PolicyGradient",
    "RMSProp",
    "SGD",
    "SOS",
    "last_link",
    "mean_over_chain",
]
