"""The controller's policy network, and its training.

An autoregressive LSTM chooses a child token by token.

Zoph and Le (2017, arXiv 1611.01578): section 3.2 teaches by REINFORCE, section 3.3 wires layers by anchor points. Of
ENAS (Pham et al. 2018, arXiv 1802.03268) are the tanh constant and temperature, the penalty on how many layers are
read, and what follows an anchor; of TabNAS (Yang et al. 2022, arXiv 2204.07615) is the gradient under limits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

from stacktune.families.nets.architecture import COLUMNS
from stacktune.search.nas.children import (
    DEPTH,
    READS,
    ChildSpace,
    Choice,
    Decision,
    Tokens,
    follow,
    place_of,
    sources_of,
)

# First weights, Zoph and Le (2017, section 4.1); NASNet and ENAS use 0.1.
FIRST_WEIGHT = 0.08
# What tells layers apart begins larger: with the others' weights a policy chose much the same for all layers.
FIRST_PLACE = 1.0
MAX_GRADIENT = 5.0


@dataclass(frozen=True)
class PolicySettings:
    """A policy's size, and how it learns.

    hidden: the LSTM's units. lr: Adam's. tanh_constant, temperature: logits are c·tanh(logit / T) (ENAS, section 3).
    entropy_weight: of the sum of the entropies of all decisions, which is added to what is maximised.
    skip_target, skip_weight: the probability of reading a source that is wished for, and the weight of the KL
        divergence of the policy's from it (ENAS, section 3.2: 0.4 and 0.8); a weight of 0 leaves it out.
    n_probes: children drawn to estimate the probability of keeping the limits (TabNAS, section 3.3: N).
    first_depths, n_children_a_depth: the curriculum of Zoph and Le (2017, section 4.1): children have one of the first
        so many depths, and one more after every so many children.
    """

    hidden: int = 64
    lr: float = 0.005
    tanh_constant: float = 2.5
    temperature: float = 1.0
    entropy_weight: float = 0.05
    skip_target: float = 0.4
    skip_weight: float = 0.0
    n_probes: int = 8
    first_depths: int = 3
    n_children_a_depth: int = 12

    def n_depths(self, n_children: int) -> int:
        """Return how many depths so many children open."""
        return self.first_depths + n_children // self.n_children_a_depth


@dataclass(frozen=True)
class Episode:
    """A child and its advantage.

    The advantage is how much better than expected it was, in standard deviations.
    """

    tokens: Tokens
    advantage: float


@dataclass(frozen=True)
class Rollout:
    """One way through the decisions.

    tokens: the choices as they are after repairs. log_prob, entropy: of the child, differentiable sums over decisions.
    skip_kl: differentiable too, summed over the sources of a layer and averaged over layers, as in ENAS's code.
    n_read, n_readable: sources.
    """

    config: dict[str, Any]
    tokens: Tokens
    log_prob: torch.Tensor
    entropy: torch.Tensor
    skip_kl: torch.Tensor
    n_read: int
    n_readable: int


class Policy(torch.nn.Module):
    """The distribution of children, P(child).

    One LSTM step stands for each token and for each layer's anchor; decisions of a name share their head.

    Layer i reads source j with probability sigmoid(vᵀ tanh(W_prev h_j + W_curr h_i)), the logit bounded like all
    others: ENAS's code samples from softmax([−q, q]) instead, which doubles the logit. Whatever was drawn, a layer that
    reads no other reads the columns, so that there the columns add nothing to log P(child).
    """

    def __init__(self, space: ChildSpace, settings: PolicySettings, seed: int):
        super().__init__()
        hidden = settings.hidden
        self.space, self.settings = space, settings
        self.cell = torch.nn.LSTMCell(hidden, hidden)
        self.start = torch.nn.Parameter(torch.empty(hidden))
        self.heads = torch.nn.ModuleDict({name: torch.nn.Linear(hidden, n) for name, n in space.n_choices().items()})
        self.embeddings = torch.nn.ModuleDict(
            {name: torch.nn.Embedding(n, hidden) for name, n in space.n_choices().items()}
        )
        # 0 is before the first layer.
        self.places = torch.nn.Embedding(max(space.depths) + 1, hidden)
        self.previous = torch.nn.Linear(hidden, hidden, bias=False)
        self.current = torch.nn.Linear(hidden, hidden, bias=False)
        self.v = torch.nn.Parameter(torch.empty(hidden))
        generator = torch.Generator().manual_seed(seed)
        for weight in self.parameters():
            torch.nn.init.uniform_(weight, -FIRST_WEIGHT, FIRST_WEIGHT, generator=generator)
        torch.nn.init.uniform_(self.places.weight, -FIRST_PLACE, FIRST_PLACE, generator=generator)

    def draw(self, generator: torch.Generator, n_depths: int) -> Rollout:
        """Draw a child."""

        def choose(decision: Decision, logits: torch.Tensor) -> Choice:
            if decision.name == READS:
                drawn = torch.rand(len(logits), generator=generator) < logits.sigmoid()
                return tuple(drawn.nonzero().flatten().tolist())
            return int(torch.multinomial(logits.softmax(0), 1, generator=generator))

        return self._walk(choose, n_depths)

    def retrace(self, tokens: Tokens, n_depths: int) -> Rollout:
        """Return the rollout that makes a known child."""
        remaining = iter(tokens)
        return self._walk(lambda decision, logits: next(remaining), n_depths)

    def _walk(self, choose: Callable[[Decision, torch.Tensor], Choice], n_depths: int) -> Rollout:
        stride = _Stride(self, choose, n_depths)
        config = follow(self.space, stride.decide)
        log_prob, entropy = torch.stack(stride.log_probs).sum(), torch.stack(stride.entropies).sum()
        skip_kl = torch.stack(stride.skip_kls).mean() if stride.skip_kls else torch.zeros(())
        return Rollout(config, tuple(stride.tokens), log_prob, entropy, skip_kl, stride.n_read, stride.n_readable)


class _Stride:
    """The state of one rollout."""

    def __init__(self, policy: Policy, choose: Callable[[Decision, torch.Tensor], Choice], n_depths: int):
        self._policy, self._choose, self._n_depths = policy, choose, n_depths
        self._input: torch.Tensor = policy.start
        self._state: tuple[torch.Tensor, torch.Tensor] | None = None
        self._anchors: list[torch.Tensor] = []
        self.tokens: list[Choice] = []
        self.log_probs: list[torch.Tensor] = []
        self.entropies: list[torch.Tensor] = []
        self.skip_kls: list[torch.Tensor] = []
        self.n_read = self.n_readable = 0

    def decide(self, decision: Decision) -> Choice:
        """Take one decision, and add to the sums.

        It notes what the decision adds to them.
        """
        choice = self._read(decision) if decision.name == READS else self._pick(decision)
        self.tokens.append(choice)
        return choice

    def _step(self) -> torch.Tensor:
        place = self._policy.places.weight[len(self._anchors)]
        h, c = self._policy.cell((self._input + place)[None], self._state)
        self._state = (h, c)
        return h[0]

    def _bounded(self, logits: torch.Tensor) -> torch.Tensor:
        settings = self._policy.settings
        return settings.tanh_constant * torch.tanh(logits / settings.temperature)

    def _pick(self, decision: Decision) -> int:
        h = self._step()
        logits = self._bounded(self._policy.heads[decision.name](h))
        if decision.name == DEPTH:
            logits = logits[: self._n_depths]
        choice = place_of(self._choose(decision, logits))
        logs = logits.log_softmax(0)
        self.log_probs.append(logs[choice])
        self.entropies.append(-(logs.exp() * logs).sum())
        self._input = self._policy.embeddings.get_parameter(f"{decision.name}.weight")[choice]
        if decision.name == DEPTH:
            self._anchors.append(h)  # stands for the columns
        elif self._is_last_of_layer(decision):
            self._anchors.append(self._step())
        return choice

    def _is_last_of_layer(self, decision: Decision) -> bool:
        return decision.name == tuple(self._policy.space.layer)[-1]

    def _read(self, decision: Decision) -> tuple[int, ...]:
        policy, earlier = self._policy, torch.stack(self._anchors[:-1])
        logits = self._bounded(torch.tanh(policy.previous(earlier) + policy.current(self._anchors[-1])) @ policy.v)
        reads = sources_of(self._choose(decision, logits)) or (COLUMNS,)
        is_read = torch.zeros(len(logits))
        is_read[list(reads)] = 1.0
        chances, log_yes, log_no = logits.sigmoid(), F.logsigmoid(logits), F.logsigmoid(-logits)
        logs = is_read * log_yes + (1 - is_read) * log_no
        entropies = -(chances * log_yes + (1 - chances) * log_no)
        # The columns, which come first, are a choice only where a layer is read.
        self.log_probs.append(logs[1:].sum() if reads == (COLUMNS,) else logs.sum())
        self.entropies.append(entropies[1:].sum() + (1 - log_no[1:].sum().exp()) * entropies[0])
        target = policy.settings.skip_target
        divergence = chances * (log_yes - math.log(target)) + (1 - chances) * (log_no - math.log(1 - target))
        self.skip_kls.append(divergence.sum())
        self.n_read, self.n_readable = self.n_read + len(reads), self.n_readable + len(logits)
        # What follows an anchor is the mean of what was chosen, as ENAS's code has it.
        self._input = (is_read @ earlier) / (1 + is_read.sum())
        return reads


@dataclass(frozen=True)
class Gradient:
    """The parameters' gradient of a batch of episodes.

    values: (n_parameters,) float32, of the loss, which falls along −values; no longer than MAX_GRADIENT.
    """

    values: torch.Tensor
    loss: float
    entropy: float
    skip_density: float


def gradient_of(
    policy: Policy,
    episodes: Sequence[Episode],
    n_depths: int,
    is_feasible: Callable[[dict[str, Any]], bool] | None = None,
    seed: int = 0,
) -> Gradient:
    """Return the gradient of the loss.

    The loss is −mean(advantage · (log P(child) − log P̂(V)) + w·entropy) + w·KL over the episodes.

    This is REINFORCE (Williams 1992; Zoph and Le 2017, section 3.2), with the entropies differentiated along the way
    that was taken. Under limits, children outside the set V that keeps them were drawn again and never trained, so what
    was drawn has the probability P(child) / P(V) (TabNAS, section 3.3). P̂(V) = mean of 1[z in V]·p(z) / SG[p(z)] over
    probes z, the gradient of whose logarithm is the mean of ∇log p(z) over those in V; where none is, it is left out.
    """
    policy.zero_grad()
    settings = policy.settings
    rollouts = [policy.retrace(episode.tokens, n_depths) for episode in episodes]
    advantages = torch.tensor([episode.advantage for episode in episodes])
    log_probs = torch.stack([rollout.log_prob for rollout in rollouts])
    if is_feasible is not None:
        log_probs = log_probs - _log_chance(policy, n_depths, is_feasible, seed)
    entropy = torch.stack([rollout.entropy for rollout in rollouts]).mean()
    skips = torch.stack([rollout.skip_kl for rollout in rollouts]).mean()
    loss = -(advantages * log_probs).mean() - settings.entropy_weight * entropy + settings.skip_weight * skips
    loss.backward()
    torch.nn.utils.clip_grad_norm_(policy.parameters(), MAX_GRADIENT)
    grads = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in policy.parameters()]
    values = torch.nn.utils.parameters_to_vector(grads)
    n_readable = sum(rollout.n_readable for rollout in rollouts)
    density = sum(rollout.n_read for rollout in rollouts) / n_readable if n_readable else math.nan
    return Gradient(values, loss.item(), entropy.item(), density)


def _log_chance(
    policy: Policy, n_depths: int, is_feasible: Callable[[dict[str, Any]], bool], seed: int
) -> torch.Tensor:
    """Return log P̂(V).

    Its gradient is right, and its value only makes the loss one that is read easily.
    """
    generator = torch.Generator().manual_seed(seed)
    probes = [policy.draw(generator, n_depths) for _ in range(policy.settings.n_probes)]
    kept = [probe.log_prob for probe in probes if is_feasible(probe.config)]
    if not kept:
        return torch.zeros(())
    chance = torch.stack([(log_prob - log_prob.detach()).exp() for log_prob in kept]).sum() / len(probes)
    return chance.log()


def flat(policy: Policy) -> torch.Tensor:
    """Return all parameters as one (n_parameters,) float32 vector."""
    return torch.nn.utils.parameters_to_vector(policy.parameters()).detach().clone()


def load_flat(policy: Policy, values: torch.Tensor) -> None:
    """Give the policy the parameters that `flat` returned."""
    with torch.no_grad():
        torch.nn.utils.vector_to_parameters(values.clone(), policy.parameters())
