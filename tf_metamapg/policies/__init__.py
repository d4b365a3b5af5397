"""Policies: Keras models as functions of parameters that come from outside, and populations of them.

`contracts.StepPolicy` says what a policy has that acts step by step, `contracts.ExactPolicy` what one has whose exact
values can be computed, and `contracts.ExportablePolicy` what one has that can be saved. Those that are made here choose
how they see and act by the specs of a game.
"""

from tf_metamapg.policies.carried_state import carried_state_policy
from tf_metamapg.policies.embedding import embedding_policy
from tf_metamapg.policies.inferred_goal import inferred_goal_policy
from tf_metamapg.policies.keras_cells import keras_recurrent_policy
from tf_metamapg.policies.keras_models import keras_policy
from tf_metamapg.policies.mlp import mlp_policy
from tf_metamapg.policies.opponent_features import opponent_features_policy
from tf_metamapg.policies.past_selves import PastSelves
from tf_metamapg.policies.populations import NormalPolicies
from tf_metamapg.policies.populations import Personas
from tf_metamapg.policies.recurrent import gru_policy
from tf_metamapg.policies.recurrent import lstm_policy
from tf_metamapg.policies.snapshots import LearnedPolicies
from tf_metamapg.policies.snapshots import Snapshots
from tf_metamapg.policies.tabular import tabular_policy
from tf_metamapg.policies.tabular import TabularPolicy
from tf_metamapg.policies.vector import vector_policy

__all__ = [
    "LearnedPolicies",
    "NormalPolicies",
    "PastSelves",
    "Personas",
    "Snapshots",
    "TabularPolicy",
    "carried_state_policy",
    "embedding_policy",
    "gru_policy",
    "inferred_goal_policy",
    "keras_policy",
    "keras_recurrent_policy",
    "lstm_policy",
    "mlp_policy",
    "opponent_features_policy",
    "tabular_policy",
    "vector_policy",
]
