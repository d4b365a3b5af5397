"""Meta-agents among agents that favour rock, paper or scissors."""

import functools

from tf_metamapg.reproductions import personas

CONFIGS = {"tabular": "personas_rps_tabular", "LSTM-64": "personas_rps"}

runs = functools.partial(personas.runs, CONFIGS)
reproduce = functools.partial(personas.reproduce, configs=CONFIGS)
