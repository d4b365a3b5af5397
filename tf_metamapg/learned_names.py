"""The names of arrays in `learned.npz`, what a run leaves of all that it has learned; `runs/learned.py` writes it.

Names are of places: `agent_0/initial/0` is the first variable of agent 0's initial policy, [S, ...], `agent_0/update/0`
of what its inner updates are made with, [S, max(L, 1), ...], `agent_0/adapted/0` of its policy after the last inner
update, [S, N, ...], where nobody meta-learns, `critic/0` of the estimator's critic, and `pools/agent_1/0` of what agent
1's tasks start from where its population grows, [S, P, ...]. `seeds` are the S seeds.
"""

FILE, SEEDS, CRITIC, ADAPTED, POOLS = "learned.npz", "seeds", "critic", "adapted", "pools"


def agent(agent_index: int) -> str:
    """What the names of all that belongs to an agent begin with."""
    return f"agent_{agent_index}"


def leaf(agent_index: int, part: str, index: int = 0) -> str:
    """The name of a variable of an agent; `part` is a field of MetaParams, or `ADAPTED`."""
    return f"{agent(agent_index)}/{part}/{index}"
