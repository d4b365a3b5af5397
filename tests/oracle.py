"""An enumeration oracle for Theorem 1 in NumPy and float64, shaped like the paper; shares no code with the package.

It knows stochastic games of n agents with two actions, given by tables, and policies that are given by the
logit of action 0 for each observation. It enumerates all joint trajectories of H steps, states and actions,
and all K-sets of them; nothing is sampled, and nothing is differentiated but by finite differences, by
complex steps and by ∇ log σ.
"""

import itertools
import math

import numpy as np


class Oracle:
    """Exact meta-values of a tiny game.

    Attributes:
        states: int array [M, H], of all joint trajectories that are possible; each starts in state 0.
        actions: int array [M, H, n].
        observations: int array [M, H, n].
        rewards: array [M, H, n].
        chances: array [M], the product of the transitions' probabilities.
    """

    def __init__(self, payoffs, transitions, views, discount, horizon):
        """
        Args:
            payoffs: array [n, states, 2, .., 2].
            transitions: array [states, 2, .., 2, states] of probabilities.
            views: int array [n, states], what each agent observes.
            discount: γ.
            horizon: H.
        """
        self.n_agents, self.n_observations = payoffs.shape[0], 1 + int(views.max())
        paths = _paths(transitions, self.n_agents, horizon)
        self.states = np.array([states for states, _, _ in paths])
        self.actions = np.array([actions for _, actions, _ in paths])
        self.chances = np.array([chance for _, _, chance in paths])
        self.observations = np.zeros_like(self.actions)
        self.rewards = np.zeros(self.actions.shape)
        for m, t, i in np.ndindex(*self.actions.shape):
            self.observations[m, t, i] = views[i, self.states[m, t]]
            self.rewards[m, t, i] = payoffs[(i, self.states[m, t], *self.actions[m, t])]
        self.discounts = discount ** np.arange(horizon)

    def probs(self, logits):
        """P(τ) of every trajectory: logits [.., n, n_observations] → [.., M]."""
        cooperate = 1 / (1 + np.exp(-logits))
        product = self.chances
        for i in range(self.n_agents):
            p = cooperate[..., i, :][..., self.observations[:, :, i]]
            product = product * np.prod(np.where(self.actions[:, :, i] == 0, p, 1 - p), axis=-1)
        return product

    def values(self, logits):
        """Vⁱ (Eq. 1) of every agent: [.., n, n_observations] → [.., n]."""
        returns = np.einsum("t,mti->mi", self.discounts, self.rewards)
        return self.probs(logits) @ returns

    def scores(self, logits):
        """∇ log π^j(a_t|o_t) at every step of every trajectory: [n, n_observations] → [M, H, n, n_observations]."""
        cooperate = 1 / (1 + np.exp(-logits))
        seen = self.observations[..., None] == np.arange(self.n_observations)
        return np.where(seen, (self.actions[..., None] == 0) - cooperate, 0.0)

    def score_gradients(self, logits, members, leave_one_out):
        """(1/K) Σ_k Σ_t γ^t ∇ log π^j(a_t|o_t) (R_t^j − b): [n, n_observations] and K-sets [Z, K] → [Z, n, n_obs]."""
        size, horizon = members.shape[1], len(self.discounts)
        lags = np.arange(horizon)[:, None] - np.arange(horizon)[None]  # [t', t]
        weights = np.where(lags >= 0, self.discounts[np.abs(lags)], 0.0)
        to_go = np.einsum("zksi,st->zkti", self.rewards[members], weights)
        if leave_one_out and size > 1:
            to_go = to_go - (to_go.sum(axis=1, keepdims=True) - to_go) / (size - 1)
        return np.einsum("zktjo,zktj,t->zjo", self.scores(logits)[members], to_go, self.discounts) / size

    def all_sets(self, size):
        """All ordered K-sets of trajectories: int array [M^K, K]."""
        return np.array(list(itertools.product(range(len(self.actions)), repeat=size)))

    def multisets(self, size):
        """All K-sets without their order, int array [Z, K], and the number of orders of each, [Z]."""
        members = np.array(list(itertools.combinations_with_replacement(range(len(self.actions)), size)))
        orders = []
        for row in members.tolist():
            repeats = [math.factorial(len(list(group))) for _, group in itertools.groupby(row)]
            orders.append(math.factorial(size) // math.prod(repeats))
        return members, np.array(orders, float)

    def set_probs(self, logits, members):
        """The probability of each K-set in its order: [.., n, n_obs] → [.., Z]."""
        return np.prod(self.probs(logits)[..., members], axis=-1)

    def probs_at(self, logits, members):
        """The probability of one K-set for each policy: [Z, n, n_obs] and [Z, K] → [Z]."""
        cooperate = 1 / (1 + np.exp(-logits))
        product = np.prod(self.chances[members], axis=1)
        for i in range(self.n_agents):
            seen, done = self.observations[members][..., i], self.actions[members][..., i]
            p = np.take_along_axis(cooperate[:, i], seen.reshape(len(members), -1), axis=1).reshape(seen.shape)
            product = product * np.prod(np.where(done == 0, p, 1 - p), axis=(1, 2))
        return product

    def sampled_meta_value(self, logits, rates, size, agent, leave_one_out, weights=(0.0, 1.0)):
        """E[Σ_l w_l Vⁱ(φ_l)] over the K-sets of every link: the sampled reading."""
        if len(weights) == 1:
            return weights[0] * self.values(logits)[..., agent]
        members, orders = self.multisets(size)
        adapted = logits + rates[:, None] * self.score_gradients(logits, members, leave_one_out)
        if len(weights) == 2:
            later = weights[1] * self.values(adapted)[:, agent]
        else:
            later = np.array([
                self.sampled_meta_value(one, rates, size, agent, leave_one_out, weights[1:]) for one in adapted
            ])
        return weights[0] * self.values(logits)[agent] + (orders * self.set_probs(logits, members)) @ later

    def sampled_terms(self, logits, rates, size, agent, leave_one_out):
        """The two terms of the sampled reading for L = 1, each as it is written, [n_obs]: current policy, self-shaping.

        E[Σ_k ∇ log π(τ_k|θⁱ) Vⁱ(φ)] and E[∂Vⁱ/∂φⁱ ∂φⁱ/∂θⁱ] with the sets, and so their probabilities, held.
        """
        members, orders = self.multisets(size)
        probs = orders * self.set_probs(logits, members)

        def values(moved):
            adapted = moved + rates[:, None] * self.score_gradients(moved, members, leave_one_out)
            return self.values(adapted)[:, agent]

        scores = self.scores(logits)[members][:, :, :, agent].sum(axis=(1, 2))
        current_policy = np.einsum("z,zo,z->o", probs, scores, values(logits))
        return current_policy, own_gradient(lambda moved: probs @ values(moved), logits, agent)

    def expected_update(self, logits, rates):
        """φ(θ) with Eq. 3 as written: [n, n_obs] → [n, n_obs]."""
        gradients = np.einsum(
            "m,mjo->jo", self.probs(logits), self.score_gradients(logits, self.all_sets(1), False)
        )
        return logits + rates[:, None] * gradients

    def expected_meta_value(self, logits, rates, agent, held=None):
        """Vⁱ(φ(θ)), the expected reading for L = 1; `held` are agents with the φ^j that they keep."""
        adapted = self.expected_update(logits, rates)
        for other, params in (held or {}).items():
            adapted[other] = params
        return self.values(adapted)[agent]

    def expected_terms(self, logits, rates, agent):
        """The two terms of the expected reading for L = 1, [n_obs]: self-shaping, opponent-shaping."""
        adapted = self.expected_update(logits, rates)
        opponents = {j: adapted[j] for j in range(self.n_agents) if j != agent}
        return tuple(
            own_gradient(lambda moved, held=held: self.expected_meta_value(moved, rates, agent, held), logits, agent)
            for held in (opponents, {agent: adapted[agent]})
        )


def _paths(transitions, n_agents, horizon):
    """(states, joint actions, probability of the transitions) of all that can happen in H steps."""
    joint_actions = list(itertools.product([0, 1], repeat=n_agents))
    paths = [((0,), (), 1.0)]
    for t in range(horizon):
        paths = [(states, (*done, act), chance) for states, done, chance in paths for act in joint_actions]
        if t < horizon - 1:  # what comes after the last action does not matter
            paths = [
                ((*states, after), done, chance * p)
                for states, done, chance in paths
                for after, p in enumerate(transitions[(states[-1], *done[-1])])
                if p > 0
            ]
    return paths


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


def complex_step(function, logits):
    """All first derivatives of an analytic function, to machine precision: of logits [.., n, o], [.., n, o] more."""
    columns = []
    for index in np.ndindex(*logits.shape[-2:]):
        moved = logits.astype(complex)
        moved[(..., *index)] += 1e-30j
        columns.append(function(moved).imag / 1e-30)
    return np.stack(columns, axis=-1).reshape([*columns[0].shape, *logits.shape[-2:]])


def derivatives(function, logits, step=1e-3):
    """Gradients [.., n, o] and Hessians [.., n, o, n, o]; the latter by central differences of fourth order."""
    columns = []
    for index in np.ndindex(*logits.shape):
        shift = np.zeros_like(logits)
        shift[index] = step
        moved = [complex_step(function, logits + factor * shift) for factor in (1, -1, 2, -2)]
        columns.append((8 * (moved[0] - moved[1]) - (moved[2] - moved[3])) / (12 * step))
    gradients = complex_step(function, logits)
    return gradients, np.stack(columns, axis=-1).reshape([*gradients.shape, *logits.shape])
