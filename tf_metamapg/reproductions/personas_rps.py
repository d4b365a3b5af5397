"""Meta-agents among agents that favour rock, paper or scissors."""

import functools

from tf_metamapg.reproductions import personas
from tf_metamapg.reproductions import protocols

CONFIGS = {"tabular": "personas_rps_tabular", "LSTM-64": "personas_rps"}

reproduce = functools.partial(personas.reproduce, configs=CONFIGS)


def runs() -> dict[tuple[str, str, str], protocols.Run]:
    """What is trained, by the policy, the method and the inner step."""
    return personas.all_runs(personas.choices(CONFIGS))
