"""Runs: from a config to a run directory with results, figures, exports and checkpoints."""
