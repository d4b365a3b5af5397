"""Simulators: let policies play games, and return trajectories without gradients."""

from tf_metamapg.simulators.host import HostSimulator
from tf_metamapg.simulators.in_graph import InGraphSimulator

__all__ = [
    "HostSimulator",
    "InGraphSimulator",
]
