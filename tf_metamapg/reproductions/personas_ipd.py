"""Meta-agents among cooperating and defecting personas that learn, in the iterated prisoner's dilemma."""

import functools

from tf_metamapg.reproductions import personas

CONFIGS = {"tabular": "personas_ipd_tabular", "LSTM-64": "personas_ipd"}

runs = functools.partial(personas.runs, CONFIGS)
reproduce = functools.partial(personas.reproduce, configs=CONFIGS)
