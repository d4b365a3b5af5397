"""Agents: how each of them learns within a task, and how it learns where to start."""
