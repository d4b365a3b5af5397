"""Meta-agents among cooperating and defecting personas that learn, in the iterated prisoner's dilemma."""

import functools

from tf_metamapg.reproductions import personas

TITLE = "Learning among learning personas in the iterated prisoner's dilemma"
SOURCE = "after the protocol of Kim et al. 2021, with fewer time steps and meta-updates"
DURATION = "45 min"

reproduce = functools.partial(
    personas.reproduce, configs={"tabular": "personas_ipd_tabular", "LSTM-64": "personas_ipd"}
)
