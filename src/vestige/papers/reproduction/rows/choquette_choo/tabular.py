"""Table 2: attacks on tables."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vestige.auditing.audit import audit
from vestige.auditing.label_only.noisy_copies import NoisyCopies
from vestige.auditing.querying.defended import Defended, KnowsDefence
from vestige.auditing.querying.settings import Querying
from vestige.auditing.shadows.settings import ShadowTraining
from vestige.core.inputs import InputSpace
from vestige.core.progress import silent
from vestige.core.records import Records, joined
from vestige.data.sets.paper_designs import choquette_choo_tabular
from vestige.defences import StrongestMemGuard
from vestige.papers import choquette_choo
from vestige.papers.reproduction.playing import accuracy_of, rates_of, rows_of, short
from vestige.papers.reproduction.row import Claim, Paper, Row, Scale
from vestige.papers.reproduction.verdicts import Relation
from vestige.signals.label_only.noise import NoiseStrength
from vestige.training.torch_recipe import TorchRecipe

_DRAWS = {Scale.SMOKE: 5, Scale.LAPTOP: 250, Scale.PAPER: 10_000}
"""Noisy copies of each record."""
_ASKED = {Scale.SMOKE: 100, Scale.LAPTOP: 3_000, Scale.PAPER: 100_000}
"""Records of each side of a model that copies are made of, at most."""


@dataclass(frozen=True)
class Noise:
    """How copies of a table's records are made.

    Attributes:
        space: What inputs may be.
        choices: Strengths, of which the best one for the source model is taken.
    """

    space: InputSpace
    choices: Sequence[NoiseStrength]


def table2_trial(
    n: int, noise: Noise, recipe: Callable[[], TorchRecipe], records: Records, scale: Scale, seed: int
) -> dict[str, float]:
    """A target and a source model on records of their own: gap, confidence and noise, as in Table 2.

    Thresholds are set on the source model and used on the target as they are.
    """
    split, how = choquette_choo_tabular(records.n_records, n, seed=seed), short(recipe(), scale)
    members, nonmembers = (
        rows_of(records, split.target_members, scale),
        rows_of(records, split.target_nonmembers, scale),
    )
    own = joined(*(rows_of(records, rows, scale) for rows in (split.source_members, split.source_nonmembers)))
    target = how.fit(members, seed=seed)
    few = min(_ASKED[scale], members.n_records, nonmembers.n_records)
    is_whole = max(members.n_records, nonmembers.n_records) <= _ASKED[scale]

    def attacked(attacks: Sequence[str], n: int | None = None, **querying: Any) -> dict[str, float]:
        asked = Querying(inputs=noise.space, **querying)
        sides = [members, nonmembers]
        if n is not None:
            sides = [side.take(np.random.default_rng([seed, n]).permutation(side.n_records)[:n]) for side in sides]
        n_asked_about = None if n is None else min(2 * n, own.n_records // 2 * 2)
        adversary = ShadowTraining(how, records=own, n_sources=1, n_asked_about=n_asked_about, bank=None)
        found = audit(target.classifier, *sides, adversary=adversary, attacks=attacks, querying=asked, progress=silent)
        return rates_of(found, attacks, "shadow_strict")

    copies = NoisyCopies(_DRAWS[scale], choices=tuple(noise.choices))
    plain = attacked(("correctness", "confidence"))
    plain |= attacked(("noise_robustness",), None if is_whole else few, label_only=(copies,))
    hidden = {
        known: attacked(("confidence",), defence=Defended(defence=StrongestMemGuard(), known=known))["confidence"]
        for known in (KnowsDefence.UNAWARE, KnowsDefence.ADAPTIVE)
    }
    return {
        "training accuracy": accuracy_of(target, members),
        "test accuracy": accuracy_of(target, nonmembers),
        "gap": plain["correctness"],
        "confidence": plain["confidence"],
        "noise": plain["noise_robustness"],
        "MemGuard: confidence": hidden[KnowsDefence.UNAWARE],
        "MemGuard, adaptive: confidence": hidden[KnowsDefence.ADAPTIVE],
    }


def _flips(n_features: int) -> Noise:
    """Bits that are flipped: 1, 2, 3, 5 or 10 of a record, on average."""
    return Noise(InputSpace(low=0, high=1), [NoiseStrength(flips=k / n_features) for k in (1, 2, 3, 5, 10)])


_OF_ADULT = Noise(InputSpace(), [NoiseStrength(gaussian=float(k), flips=k / 107, in_units=True) for k in (20, 30, 50)])
_PUBLISHED = {
    "texas100": (0.739, 0.840, 0.803),
    "purchase100": (0.671, 0.861, 0.874),
    "location30": (0.721, 0.926, 0.892),
    "adult-choquette-choo": (0.587, 0.599, 0.587),
}
"""Table 2: gap, confidence and noise."""

_TRIALS = {
    "texas100": functools.partial(table2_trial, 10_000, _flips(6_169), choquette_choo.texas_recipe),
    "purchase100": functools.partial(table2_trial, 10_000, _flips(600), choquette_choo.purchase_recipe),
    "location30": functools.partial(table2_trial, 1_600, _flips(446), choquette_choo.location_recipe),
    "adult-choquette-choo": functools.partial(table2_trial, 10_000, _OF_ADULT, choquette_choo.adult_recipe),
}
_SECONDS = {"location30": 22.0, "adult-choquette-choo": 156.0}
_CLAIMS = (
    Claim(better="confidence", other="gap"),
    Claim(better="noise", other="gap", relation=Relation.AT_LEAST),
    Claim(better="confidence", other="noise", relation=Relation.AT_LEAST),
    Claim(better="noise", other="MemGuard: confidence"),
)


def _table2(data: str) -> Row:
    published = dict(zip(("gap", "confidence", "noise"), _PUBLISHED[data], strict=True)) | {"MemGuard: confidence": 0.5}
    claims = [c for c in _CLAIMS if published[c.better] - published[c.other] >= c.relation.limits[0]]
    deviations: tuple[str, ...] = (
        "250 noisy copies of each record; the paper has 10,000",
        "the source model is trained on a random half of the source's records",
    )
    if data != "location30":
        deviations = (*deviations, "noisy copies of 3,000 records of each side of both models, drawn from all")
    if data == "location30":
        few = "the paper's n = 1,600 needs 6,400 records and the set has 5,010: the other three sets share what is left"
        deviations = (*deviations, few)
    return Row(
        paper=Paper.CHOQUETTE_CHOO, item="table2", data=data, title="gap, confidence and noise on tables",
        trial=_TRIALS[data], published=published, claims=claims,
        deviations=deviations, seconds=_SECONDS.get(data, 0.0),
    )  # fmt: skip


ROWS = tuple(map(_table2, _TRIALS))
