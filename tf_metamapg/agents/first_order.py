"""Meta-PG and Meta-MAPG without the derivative of the agent's own gradient, cf. FOMAML (Finn et al. 2017)."""

import functools

import tensorflow as tf

from tf_metamapg import adaptation
from tf_metamapg import links
from tf_metamapg.agents.meta_agent import MetaAgent
from tf_metamapg.agents.meta_mapg import MetaMAPG
from tf_metamapg.agents.meta_pg import MetaPG
from tf_metamapg.agents.naive import PolicyGradient
from tf_metamapg.contracts import MetaGradients
from tf_metamapg.contracts import Params


class _ConstantGradients(PolicyGradient):
    """A policy gradient that depends on nothing: its step has the derivative I in the agent's own parameters."""

    # Steps of learned length are made like any others.
    is_meta_agent = True

    def climbed(self, objectives: links.Objectives, agent_index: int) -> Params:
        """See `GradientAgent.climbed`."""
        return tuple(map(tf.stop_gradient, super().climbed(objectives, agent_index)))


class _FirstOrder(MetaAgent):
    """What both have in common: to its own meta-gradient, and to nobody else's, the agent's gradients are constant."""

    @functools.cached_property
    def _assumed(self) -> PolicyGradient:
        return _ConstantGradients(self._learning_rate, self._optimizer, self._entropy_bonus)

    def theorem_1(self, chain: adaptation.Chain, agent_index: int) -> MetaGradients:
        """All three terms, with dφⁱ/dθⁱ = I along the agent's own updates; see `MetaAgent.theorem_1`."""
        adaptation.check_chain(chain, agent_index)
        agents = list(chain.agents)
        agents[agent_index] = self._assumed
        return super().theorem_1(chain._replace(agents=tuple(agents)), agent_index)


class FirstOrderMetaPG(_FirstOrder, MetaPG):
    """Meta-PG with dφⁱ/dθⁱ ≈ I: the policy gradients along the chain, added up (FOMAML, Finn et al. 2017)."""


class FirstOrderMetaMAPG(_FirstOrder, MetaMAPG):
    """Meta-MAPG with dφⁱ/dθⁱ ≈ I, but with dφʲ/dθⁱ = α ∇ᵢ∇ⱼVʲ: first-order but for what shapes the others."""
