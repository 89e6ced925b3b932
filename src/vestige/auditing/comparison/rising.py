"""Whose risk rises under a defence, chosen on half of the models and confirmed by the other half."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import special

from vestige.attacks.empirical_bayes import empirical_bayes_online
from vestige.auditing.comparison.family import Family
from vestige.auditing.comparison.over_records import Measure, mean
from vestige.auditing.comparison.rates import halves_of
from vestige.auditing.references.phi import fewest_on_a_side

RISE = 0.1
"""By how much a record's risk differs before it counts."""


@dataclass(frozen=True, eq=False)
class Risks:
    """The risk of every record under one defence, by pairs of models.

    A record's risk is the attacker's belief that it was a member where it was, less the same belief where it was not:
    0 where nothing leaks, 1 where membership is certain. The belief is the probability by the empirical-Bayes ratio of
    models of the same half, half of the records being members. Phi itself will not do: defences change its scale.

    Attributes:
        of_pairs: By number of the pair.
        first_half: Pairs of the first half of the models; the others are of the second.
    """

    of_pairs: Mapping[int, Float[np.ndarray, " record"]]
    first_half: frozenset[int]

    def half(self, first: bool) -> dict[int, np.ndarray]:
        """Return the pairs of one half."""
        return {draw: risk for draw, risk in self.of_pairs.items() if (draw in self.first_half) == first}


def risks_of(family: Family) -> Risks | None:
    """Return the risk of every record under a defence; None with fewer than 8 models, or labels alone."""
    first = halves_of(family)
    if first is None or family.observed is None:
        return None
    phi, of_pairs = family.observed.shadow_phi[:, :, 0], dict[int, np.ndarray]()
    for draw in np.unique(family.draws).tolist():
        own = family.draws == draw
        others = (first == first[own][0]) & ~own
        if fewest_on_a_side(family.is_in[own]) < 1 or fewest_on_a_side(family.is_in[others]) < 1:
            continue  # models failed
        scores = [empirical_bayes_online(phi[m], phi[others], family.is_in[others]) for m in np.flatnonzero(own)]
        beliefs, side = special.expit(np.stack(scores)), family.is_in[own]
        of_pairs[draw] = np.mean(beliefs, axis=0, where=side) - np.mean(beliefs, axis=0, where=~side)
    return Risks(of_pairs, frozenset(family.draws[first].tolist()))


@dataclass(frozen=True, kw_only=True, eq=False)
class Rise:
    """Whose risk rises, and by how much.

    Attributes:
        share: Share of the records whose risk rises: of each record 1 if both halves of the models say so, and -1/2
            where one half says so and the other that it falls by as much. Where a record's risk stays what it was both
            are equally likely, so that noise adds nothing; records whose risk falls make the share too small.
        risk: Mean risk under the defence of the records that one half chose, by pairs of the other.
        before: The same without the defence.
        influence: Of each record on the mean risk over pairs.
        influence_before: Of each record on that without the defence.
    """

    share: Measure
    risk: Mapping[int, float]
    before: Mapping[int, float]
    influence: Float[np.ndarray, " record"]
    influence_before: Float[np.ndarray, " record"]


def rising(now: Risks, before: Risks) -> Rise | None:
    """Compare risks of the same records, pair by pair; None if a half of the models has no pair.

    Args:
        now: Under the defence.
        before: Without it.
    """
    both = sorted(set(now.of_pairs) & set(before.of_pairs))
    changes = {draw: now.of_pairs[draw] - before.of_pairs[draw] for draw in both}
    halves = [[c for draw, c in changes.items() if (draw in now.first_half) == first] for first in (True, False)]
    if not all(halves):
        return None
    of_half = [np.mean(half, axis=0) for half in halves]
    rises, falls = ([sign * change >= RISE for change in of_half] for sign in (1, -1))
    doubt = (rises[0] & falls[1]).astype(float) + (falls[0] & rises[1])
    everyone = np.ones(of_half[0].size, dtype=bool)
    means: list[dict[int, Measure]] = [{}, {}]
    for draw in both:
        chosen = rises[1] if draw in now.first_half else rises[0]  # by the half that it is not of
        if chosen.any():
            for found, risks in zip(means, (now, before), strict=True):
                found[draw] = mean(risks.of_pairs[draw], chosen)
    risk, earlier = ({draw: one.value for draw, one in found.items()} for found in means)
    ours, theirs = (_mean_influence(found) for found in means)
    share = mean((rises[0] & rises[1]) - doubt / 2, everyone)
    return Rise(share=share, risk=risk, before=earlier, influence=ours, influence_before=theirs)


def _mean_influence(of_pairs: Mapping[int, Measure]) -> np.ndarray:
    known = [one.influence for one in of_pairs.values() if one.influence is not None]
    return np.mean(known, axis=0) if known else np.zeros(0)


def mean_risk(risks: Risks) -> tuple[dict[int, float], np.ndarray]:
    """Return the mean risk of all records by pairs, and the influence of each record on the mean over them."""
    tables = risks.of_pairs
    everyone: Bool[np.ndarray, " record"] = np.ones(len(next(iter(tables.values()))), dtype=bool)
    means = {draw: mean(of_pair, everyone) for draw, of_pair in tables.items()}
    return {draw: one.value for draw, one in means.items()}, _mean_influence(means)
