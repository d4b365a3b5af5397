"""Games: payoffs, transitions, exact values, and distributions of tasks."""
