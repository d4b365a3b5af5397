"""Games, and distributions of tasks: what differs between the games that a meta-agent learns across.

The interface of a game, which every floor above relies on:

    name, dtype, discount, n_agents            dtype is 'float32' or 'float64', discount is γ
    payoffs                                    the numbers in which tasks may differ, of any shape
    exact_values(tasks, strategies)            Vⁱ of every agent, if there is a closed form

and, of a game that is played step by step:

    observation_specs, action_specs            TensorSpecs of what each agent sees and does at one step: tuples
    n_uniforms                                 how many uniform numbers each transition takes
    initial_state(shape)                       where every trajectory starts
    observe(states, agent_index)               what an agent sees
    next_state(state, joint_action, uniforms)  transitions
    rewards(tasks, states, joint_actions)      every agent's rewards

A game with finitely many observations and actions also has `n_observations`, the same for all agents, and
`n_actions`, a tuple. A differentiable game has `n_params` instead, the sizes of the agents' vectors. A task
replaces the payoffs; tasks have the leading axes [S, N]. Agents are numbered from 0. What `strategies` are,
see `policies/`.
"""
