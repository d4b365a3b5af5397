"""What is compared: configs with bindings, each of which is a run."""

from typing import NamedTuple


class Candidate(NamedTuple):
    """A config with its bindings."""

    name: str  # of its run
    config: str
    values: tuple[str, ...]  # of what is swept over, as texts
    bindings: list[str]
