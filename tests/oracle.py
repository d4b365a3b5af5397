"""An enumeration oracle for Theorem 1 in NumPy and float64, shaped like the paper; shares no code with the package.

It knows iterated games of n agents with two actions and memory-one policies, given by the logit of
action 0 for each observation: 0 at the start, then 1 + the last joint action in binary, the agent's own
action first and the others' in order. It enumerates all joint trajectories of H steps and all K-sets of
them; nothing is sampled, and nothing is differentiated but by finite differences and ∇ log σ.
"""

import itertools

import numpy as np


class Oracle:
    """Exact meta-values of a tiny game.

    Attributes:
        actions: int array [M, H, n], all joint trajectories.
        observations: int array [M, H, n].
        rewards: array [M, H, n].
    """

    def __init__(self, payoffs, discount, horizon):
        """
        Args:
            payoffs: array [n, 2, .., 2].
            discount: γ.
            horizon: H.
        """
        n_agents = payoffs.shape[0]
        joint_actions = list(itertools.product([0, 1], repeat=n_agents))
        self.n_agents, self.n_observations = n_agents, 1 + len(joint_actions)
        self.actions = np.array(list(itertools.product(joint_actions, repeat=horizon)))
        self.observations = np.zeros_like(self.actions)
        self.rewards = np.zeros(self.actions.shape)
        for m, t, i in np.ndindex(*self.actions.shape):
            self.rewards[m, t, i] = payoffs[(i, *self.actions[m, t])]
            if t > 0:
                last = list(self.actions[m, t - 1])
                own_first = [last[i]] + last[:i] + last[i + 1 :]
                self.observations[m, t, i] = 1 + int("".join(map(str, own_first)), 2)
        self.discounts = discount ** np.arange(horizon)

    def probs(self, logits):
        """P(τ) of every trajectory: logits [.., n, n_observations] → [.., M]."""
        cooperate = 1 / (1 + np.exp(-logits))
        product = 1.0
        for i in range(self.n_agents):
            p = cooperate[..., i, :][..., self.observations[:, :, i]]
            product = product * np.prod(np.where(self.actions[:, :, i] == 0, p, 1 - p), axis=-1)
        return product

    def values(self, logits):
        """Vⁱ (Eq. 1) of every agent: [.., n, n_observations] → [.., n]."""
        returns = np.einsum("t,mti->mi", self.discounts, self.rewards)
        return self.probs(logits) @ returns

    def score_gradients(self, logits, members, leave_one_out):
        """(1/K) Σ_k Σ_t γ^t ∇ log π^j(a_t|o_t) (R_t^j − b): [n, n_observations] and K-sets [Z, K] → [Z, n, n_obs]."""
        n_sets, size = members.shape
        horizon = len(self.discounts)
        lags = np.arange(horizon)[:, None] - np.arange(horizon)[None]  # [t', t]
        weights = np.where(lags >= 0, self.discounts[np.abs(lags)], 0.0)
        to_go = np.einsum("zksi,st->zkti", self.rewards[members], weights)
        if leave_one_out and size > 1:
            to_go = to_go - (to_go.sum(axis=1, keepdims=True) - to_go) / (size - 1)
        gradients = np.zeros((n_sets, self.n_agents, self.n_observations))
        cooperate = 1 / (1 + np.exp(-logits))
        for j in range(self.n_agents):
            seen, done = self.observations[members][..., j], self.actions[members][..., j]
            slope = (done == 0) - cooperate[j][seen]
            for o in range(self.n_observations):
                gradients[:, j, o] = np.einsum(
                    "zkt,t->z", np.where(seen == o, slope * to_go[..., j], 0.0), self.discounts
                ) / size
        return gradients

    def all_sets(self, size):
        """All ordered K-sets of trajectories: int array [M^K, K]."""
        return np.array(list(itertools.product(range(len(self.actions)), repeat=size)))

    def set_probs(self, logits, members):
        """The probability of each K-set: [.., n, n_obs] → [.., Z]."""
        return np.prod(self.probs(logits)[..., members], axis=-1)

    def sampled_meta_value(self, logits, rates, size, agent, leave_one_out):
        """E over K-sets τ_θ of Vⁱ(φ(τ_θ, θ)): the sampled reading, L = 1."""
        members = self.all_sets(size)
        adapted = logits + rates[:, None] * self.score_gradients(logits, members, leave_one_out)
        return self.set_probs(logits, members) @ self.values(adapted)[:, agent]

    def expected_meta_value(self, logits, rates, agent):
        """Vⁱ(φ(θ)) with Eq. 3 as written: the expected reading, L = 1."""
        gradients = np.einsum(
            "m,mjo->jo", self.probs(logits), self.score_gradients(logits, self.all_sets(1), False)
        )
        return self.values(logits + rates[:, None] * gradients)[agent]


def own_gradient(function, logits, agent, step=2e-4):
    """The gradient with respect to one agent's logits by central differences of fourth order."""
    gradient = np.zeros(logits.shape[1])
    for o in range(logits.shape[1]):
        shift = np.zeros_like(logits)
        shift[agent, o] = step
        near = function(logits + shift) - function(logits - shift)
        far = function(logits + 2 * shift) - function(logits - 2 * shift)
        gradient[o] = (8 * near - far) / (12 * step)
    return gradient
