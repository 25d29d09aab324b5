"""Search a space of architectures whose best is known: the controller, random search and regularised evolution.

    python tests/benchmarks/nas_closed_form.py [--children 500] [--seeds 20]

Each seed hides another architecture of four layers. A child's score is how much of it a child has right: the depth, and
for each layer its values, its sources, and a bonus for having all of a layer and of the one before it, so that parts
are worth more together. Nothing is trained. Evolution is that of Real et al. (2019): of the last 50 children the best
of 10 is changed in one choice. Prints the best, and the mean of the last 100, over seeds.
"""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from stacktune.families.nets.architecture import Layer, from_line
from stacktune.families.registry import get_family
from stacktune.search.nas.children import READS, ChildSpace, Choice, Decision, child_space, follow, random_child
from stacktune.search.nas.settings import ControllerTopology
from stacktune.search.nas.source import ControllerSource
from stacktune.search.space import load_space
from stacktune.trials.result import COMPLETED, TrialResult

DEPTH = 4
N_LAST = 100
N_ALIVE, N_SAMPLED = 50, 10
VALUES = ("kind", "width", "activation", "norm", "dropout")
Score = Callable[[dict], float]


def hidden(space: ChildSpace, seed: int) -> tuple[Layer, ...]:
    """Return an architecture of DEPTH layers."""
    rng = np.random.default_rng((seed, 1))
    while True:
        layers = from_line(random_child(space, rng)["architecture"])
        if len(layers) == DEPTH:
            return layers


def likeness(best: tuple[Layer, ...], config: dict) -> float:
    """Return from 0 to 1 how much of `best` a child has."""
    layers, earned, whole_before = from_line(config["architecture"]), 0.0, False
    for ours, theirs in zip(best, layers, strict=False):
        right = [getattr(ours, name) == getattr(theirs, name) for name in VALUES]
        both, either = set(ours.reads) & set(theirs.reads), set(ours.reads) | set(theirs.reads)
        is_whole = all(right) and both == either
        earned += sum(right) / len(VALUES) + len(both) / len(either) + (is_whole and whole_before)
        whole_before = is_whole
    most = 2 * DEPTH + DEPTH - 1
    return (earned + (len(layers) == DEPTH)) / (most + 1)


def by_controller(score: Score, n_children: int, seed: int) -> list[float]:
    """Return the scores of what the family's own source asks for, without its portfolio."""
    space = replace(load_space("nas"), portfolio=())
    source, scores = (
        ControllerSource(get_family("nas"), space, seed, ControllerTopology(), None, lambda event: None),
        [],
    )
    for number in range(n_children):
        trial_id = f"nas-{number:04d}"
        config = source.ask(trial_id)
        scores.append(score(config))
        source.tell(TrialResult(trial_id, "nas", config, "asha", COMPLETED, 1, 1, (scores[-1],), (scores[-1],)))
    return scores


def at_random(score: Score, n_children: int, seed: int) -> list[float]:
    """Return the scores of children that know nothing of each other."""
    space, rng = child_space(load_space("nas").domains), np.random.default_rng((seed, 2))
    return [score(random_child(space, rng)) for _ in range(n_children)]


def by_evolution(score: Score, n_children: int, seed: int) -> list[float]:
    """Return the scores of regularised evolution's children."""
    space, rng = child_space(load_space("nas").domains), np.random.default_rng((seed, 3))
    alive, scores = deque(maxlen=N_ALIVE), []
    for _ in range(n_children):
        if len(alive) < N_ALIVE:
            child = random_child(space, rng)
        else:
            picked = [alive[place] for place in rng.choice(N_ALIVE, N_SAMPLED, replace=False)]
            child = mutated(space, max(picked, key=lambda pair: pair[0])[1], rng)
        scores.append(score(child))
        alive.append((scores[-1], child))
    return scores


def mutated(space: ChildSpace, parent: dict, rng: np.random.Generator) -> dict:
    """Return the parent with one choice made anew; what that leaves open is chosen at random."""
    kept = list(space.tokens(parent))
    changed = int(rng.integers(len(kept)))
    place = -1

    def choose(decision: Decision) -> Choice:
        nonlocal place
        place += 1
        is_new = place == changed or place >= len(kept)
        if decision.name == READS:
            if not is_new:
                return tuple(source for source in kept[place] if source < decision.n_choices)
            return tuple(source for source in range(decision.n_choices) if rng.random() < 0.5)
        return int(rng.integers(decision.n_choices)) if is_new else kept[place]

    return follow(space, choose)


WAYS = {"controller": by_controller, "random": at_random, "evolution": by_evolution}


def measure(n_children: int, seed: int) -> list[dict[str, object]]:
    """Return the best and the last children's mean of each way to search."""
    score = partial(likeness, hidden(child_space(load_space("nas").domains), seed))
    rows = []
    for name, search in WAYS.items():
        scores = search(score, n_children, seed)
        rows.append({"search": name, "seed": seed, "best": max(scores), "last": float(np.mean(scores[-N_LAST:]))})
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--children", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--cpus", type=int, default=2)
    args = parser.parse_args()
    with ProcessPoolExecutor(args.cpus) as pool:
        rows = [row for rows in pool.map(partial(measure, args.children), range(args.seeds)) for row in rows]
    frame = pd.DataFrame(rows).drop(columns="seed")
    print(frame.groupby("search").agg(["mean", "std", "min", "max"]).round(3).to_string())


if __name__ == "__main__":
    main()
