"""Simulators: play games with policies, and return trajectories without gradients."""
