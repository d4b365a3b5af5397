"""An enumeration oracle for Theorem 1 in NumPy and float64, shaped like the paper; shares no code with the package.

It knows stochastic games of n agents with two actions, given by tables, and policies that are given by the
logit of action 0 for each observation. It enumerates all joint trajectories of H steps, states and actions,
and all K-sets of them; nothing is sampled, and nothing is differentiated but by finite differences, by
complex steps and by ∇ log σ. Where agents may leave, a trajectory goes on until all have left; what stands in
the steps of those who have left is zero.
"""

import itertools
import math

import numpy as np


class Oracle:
    """Exact meta-values of a tiny game.

    Attributes:
        states: int array [M, H], of all joint trajectories that are possible.
        actions: int array [M, H, n].
        present: bool array [M, H, n], whether each agent is there.
        observations: int array [M, H, n].
        rewards: array [M, H, n].
        chances: array [M], the probability of all that is not an agent's choice.
    """

    def __init__(self, payoffs, transitions, views, discount, horizon, start=None, departures=()):
        """
        Args:
            payoffs: array [n, states, 2, .., 2].
            transitions: array [states, 2, .., 2, states] of probabilities.
            views: int array [n, states], what each agent observes.
            discount: γ.
            horizon: H.
            start: array [states] of probabilities of the first one; by default it is state 0.
            departures: pairs (agents that leave together, array [states, 2, .., 2] of the probability that they do
                after a joint action); what some do is independent of what others do.
        """
        self.n_agents, self.n_observations = payoffs.shape[0], 1 + int(views.max())
        start = np.eye(len(transitions))[0] if start is None else start
        paths = list(_paths(transitions, self.n_agents, horizon, start, departures))
        self.states = np.array([states for states, *_ in paths])
        self.actions = np.array([actions for _, actions, *_ in paths])
        self.present = np.array([present for *_, present, _ in paths])
        self.chances = np.array([chance for *_, chance in paths])
        self.observations = np.zeros_like(self.actions)
        self.rewards = np.zeros(self.actions.shape)
        for m, t, i in np.argwhere(self.present):
            self.observations[m, t, i] = views[i, self.states[m, t]]
            self.rewards[m, t, i] = payoffs[(i, self.states[m, t], *self.actions[m, t])]
        self.discounts = discount ** np.arange(horizon)

    def probs(self, logits):
        """P(τ) of every trajectory: logits [.., n, n_observations] → [.., M]."""
        cooperate = 1 / (1 + np.exp(-logits))
        product = self.chances
        for i in range(self.n_agents):
            p = cooperate[..., i, :][..., self.observations[:, :, i]]
            chosen = np.where(self.actions[:, :, i] == 0, p, 1 - p)
            product = product * np.prod(np.where(self.present[:, :, i], chosen, 1), axis=-1)
        return product

    def values(self, logits):
        """Vⁱ (Eq. 1) of every agent: [.., n, n_observations] → [.., n]."""
        returns = np.einsum("t,mti->mi", self.discounts, self.rewards)
        return self.probs(logits) @ returns

    def lengths(self, logits):
        """E Σ_t γᵗ over the steps of each agent: [.., n, n_observations] → [.., n]."""
        return self.probs(logits) @ np.einsum("t,mti->mi", self.discounts, self.present)

    def entropies(self, logits, probs=None):
        """E Σ_t γᵗ H(πⁱ(·|o_t)): [.., n, n_observations] → [.., n]; `probs` are P(τ) that are held, [M]."""
        cooperate = 1 / (1 + np.exp(-logits))
        by_observation = -cooperate * np.log(cooperate) - (1 - cooperate) * np.log(1 - cooperate)
        probs = self.probs(logits) if probs is None else probs
        totals = []
        for i in range(self.n_agents):
            at_steps = np.where(self.present[:, :, i], by_observation[..., i, :][..., self.observations[:, :, i]], 0)
            totals.append(np.sum(probs * (at_steps @ self.discounts), axis=-1))
        return np.stack(totals, axis=-1)

    def scores(self, logits):
        """∇ log π^j(a_t|o_t) at every step of every trajectory: [n, n_observations] → [M, H, n, n_observations]."""
        cooperate = 1 / (1 + np.exp(-logits))
        seen = self.observations[..., None] == np.arange(self.n_observations)
        return np.where(seen & self.present[..., None], (self.actions[..., None] == 0) - cooperate, 0.0)

    def score_gradients(self, logits, members, leave_one_out):
        """(1/K) Σ_k Σ_t γ^t ∇ log π^j(a_t|o_t) (R_t^j − b): [n, n_observations] and K-sets [Z, K] → [Z, n, n_obs].

        Leaving one out, b is the mean R_t^j of the others in which agent j is still there, if there are any.
        """
        size, horizon = members.shape[1], len(self.discounts)
        lags = np.arange(horizon)[:, None] - np.arange(horizon)[None]  # [t', t]
        weights = np.where(lags >= 0, self.discounts[np.abs(lags)], 0.0)
        to_go = np.einsum("zksi,st->zkti", self.rewards[members], weights)
        if leave_one_out:
            n_others = self.present[members].sum(axis=1, keepdims=True) - 1
            others = to_go.sum(axis=1, keepdims=True) - to_go
            to_go = to_go - np.where(n_others > 0, others, 0) / np.maximum(n_others, 1)
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
            chosen = np.where(self.present[members][..., i], np.where(done == 0, p, 1 - p), 1)
            product = product * np.prod(chosen, axis=(1, 2))
        return product

    def sampled_meta_value(self, logits, rates, size, agent, leave_one_out, weights=(0.0, 1.0)):
        """E[Σ_l w_l Vⁱ(φ_l)] over the K-sets of every link: with sampled inner updates."""
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
        """The two terms of sampled inner updates for L = 1, [n_obs]: current policy, self-shaping; as they are written:

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
        """Vⁱ(φ(θ)), with an expected inner update, L = 1; `held` are agents with the φ^j that they keep."""
        adapted = self.expected_update(logits, rates)
        for other, params in (held or {}).items():
            adapted[other] = params
        return self.values(adapted)[agent]

    def expected_terms(self, logits, rates, agent):
        """The two terms of expected inner updates for L = 1, [n_obs]: self-shaping, opponent-shaping."""
        adapted = self.expected_update(logits, rates)
        opponents = {j: adapted[j] for j in range(self.n_agents) if j != agent}
        return tuple(
            own_gradient(lambda moved, held=held: self.expected_meta_value(moved, rates, agent, held), logits, agent)
            for held in (opponents, {agent: adapted[agent]})
        )


def _paths(transitions, n_agents, horizon, start, departures):
    """(states, joint actions, who is there, probability) of all that can happen in H steps, step by step.

    What comes after the last action does not matter; what is not there any more is zero.
    """

    def going_on(states, actions, presence, chance):
        for act in itertools.product(*([0, 1] if is_present else [0] for is_present in presence[-1])):
            done = (*actions, act)
            if len(done) == horizon:
                yield states, done, presence, chance
                continue
            for after, p_leave in _after_departures(presence[-1], (states[-1], *act), departures):
                if not any(after):
                    missing, nobody = horizon - len(done), (False,) * n_agents
                    yield (
                        (*states, *[0] * missing), (*done, *[(0,) * n_agents] * missing),
                        (*presence, *[nobody] * missing), chance * p_leave,
                    )
                    continue
                for following, p in enumerate(transitions[(states[-1], *act)]):
                    if p > 0:
                        yield from going_on((*states, following), done, (*presence, after), chance * p_leave * p)

    for state, p in enumerate(start):
        if p > 0:
            yield from going_on((state,), (), ((True,) * n_agents,), p)


def _after_departures(present, state_and_act, departures):
    """(who is still there, its probability) of all that can happen after a joint action."""
    outcomes = [(present, 1.0)]
    for agents, table in departures:
        p_leave, before = table[state_and_act], outcomes
        outcomes = []
        for there, chance in before:
            left = tuple(is_there and i not in agents for i, is_there in enumerate(there))
            # Who has left already cannot leave again.
            choices = ((there, 1.0),) if left == there else ((there, 1 - p_leave), (left, p_leave))
            outcomes += [(after, chance * p) for after, p in choices if p > 0]
    return outcomes


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
