"""Agents: how each learns within a chain, and which terms of Theorem 1 a meta-agent learns its initial policy by.

An agent is a direction (naive, anticipating, shaping), an optimiser that makes a step of it, and the length of that
step; see `contracts.Agent` and `agents/base.py`.
"""

from tf_metamapg.agents.actor_critic import AdvantageActorCritic
from tf_metamapg.agents.actor_critic import PPO
from tf_metamapg.agents.advantage_alignment import AdvantageAlignment
from tf_metamapg.agents.base import GradientAgent
from tf_metamapg.agents.chain_critic import ChainCriticAgent
from tf_metamapg.agents.coala_pg import COALAPG
from tf_metamapg.agents.coma import COMA
from tf_metamapg.agents.competitive_gradient_descent import CompetitiveGradientDescent
from tf_metamapg.agents.consensus_optimization import ConsensusOptimization
from tf_metamapg.agents.extragradient import Extragradient
from tf_metamapg.agents.first_order import FirstOrderMetaMAPG
from tf_metamapg.agents.first_order import FirstOrderMetaPG
from tf_metamapg.agents.fixed import Fixed
from tf_metamapg.agents.hola import HOLA
from tf_metamapg.agents.joint_action_actor_critic import JointActionActorCritic
from tf_metamapg.agents.joint_action_policy_gradient import JointActionPolicyGradient
from tf_metamapg.agents.learning_rates import ConstantRate
from tf_metamapg.agents.learning_rates import LearnedRates
from tf_metamapg.agents.learning_rates import LearnedRatesPerParameter
from tf_metamapg.agents.lola_dice import LOLADiCE
from tf_metamapg.agents.lola_shaping import LOLAShaping
from tf_metamapg.agents.lola_taylor import LOLATaylor
from tf_metamapg.agents.look_ahead import LookAhead
from tf_metamapg.agents.loqa import LOQA
from tf_metamapg.agents.m_fos import MFOS
from tf_metamapg.agents.meta_mapg import MetaMAPG
from tf_metamapg.agents.meta_pg import MetaPG
from tf_metamapg.agents.meva import MeVa
from tf_metamapg.agents.multiagent_soft_q_learning import MultiagentSoftQLearning
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.agents.opponent_embedding import OpponentEmbedding
from tf_metamapg.agents.opponent_models import MaximumLikelihood
from tf_metamapg.agents.optimizers import Adam
from tf_metamapg.agents.optimizers import Momentum
from tf_metamapg.agents.optimizers import RMSProp
from tf_metamapg.agents.optimizers import SGD
from tf_metamapg.agents.pola import POLA
from tf_metamapg.agents.recursive_reasoning import RecursiveReasoning
from tf_metamapg.agents.shaper import Shaper
from tf_metamapg.agents.sos import SOS
from tf_metamapg.agents.symplectic_gradient_adjustment import SymplecticGradientAdjustment
from tf_metamapg.theorem import last_link
from tf_metamapg.theorem import mean_over_chain
from tf_metamapg.theorem import sum_over_chain

__all__ = [
    "Adam",
    "AdvantageActorCritic",
    "AdvantageAlignment",
    "COALAPG",
    "COMA",
    "ChainCriticAgent",
    "CompetitiveGradientDescent",
    "ConsensusOptimization",
    "ConstantRate",
    "Extragradient",
    "FirstOrderMetaMAPG",
    "FirstOrderMetaPG",
    "Fixed",
    "GradientAgent",
    "HOLA",
    "JointActionActorCritic",
    "JointActionPolicyGradient",
    "LOLADiCE",
    "LOLAShaping",
    "LOLATaylor",
    "LOQA",
    "LearnedRates",
    "LearnedRatesPerParameter",
    "LookAhead",
    "MFOS",
    "MaximumLikelihood",
    "MeVa",
    "MetaMAPG",
    "MetaPG",
    "Momentum",
    "MultiagentSoftQLearning",
    "OpponentEmbedding",
    "POLA",
    "PPO",
    "PolicyGradient",
    "RMSProp",
    "RecursiveReasoning",
    "SGD",
    "SOS",
    "Shaper",
    "SymplecticGradientAdjustment",
    "last_link",
    "mean_over_chain",
    "sum_over_chain",
]
