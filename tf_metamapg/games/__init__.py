"""Games, and distributions of tasks: what differs between the games that a meta-agent learns across.

What a game has is said by `contracts.Game`, of one that is played step by step, and `contracts.ExactGame`, of one whose
values are known in closed form; what a distribution of tasks has by `contracts.TaskDistribution`.
"""
