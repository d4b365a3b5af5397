"""Meta-agents among agents that favour rock, paper or scissors."""

import functools

from tf_metamapg.reproductions import personas

TITLE = "Learning among learning personas in iterated rock-paper-scissors"
SOURCE = "after the protocol of Kim et al. 2021, with fewer time steps and meta-updates"
DURATION = "65 min"

reproduce = functools.partial(
    personas.reproduce, configs={"tabular": "personas_rps_tabular", "LSTM-64": "personas_rps"}
)
