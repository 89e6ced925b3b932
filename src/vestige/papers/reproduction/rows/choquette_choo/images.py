"""Images: a target and a source model on blocks of their own, and the attacks on them, by the product."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vestige.auditing.audit import audit
from vestige.auditing.finished import FinishedAudit
from vestige.auditing.label_only.boundary_search import BoundarySearch
from vestige.auditing.label_only.probe import Probe
from vestige.auditing.label_only.rotations import Rotations
from vestige.auditing.label_only.searches import Estimator
from vestige.auditing.label_only.translations import Translations
from vestige.auditing.querying.defended import Defended, KnowsDefence
from vestige.auditing.querying.settings import Querying
from vestige.auditing.shadows.settings import ShadowTraining
from vestige.core.inputs import InputSpace
from vestige.core.options import Options
from vestige.core.progress import silent
from vestige.core.recipe import Model, Recipe
from vestige.core.records import Records, joined
from vestige.data.sets.paper_designs import choquette_choo_blocks
from vestige.defences import StrongestMemGuard
from vestige.papers import choquette_choo
from vestige.papers.reproduction.playing import accuracy_of, rate_of, short
from vestige.papers.reproduction.row import Paper, Row, Scale, Trial
from vestige.signals.boundary import hop_skip_jump, surfree
from vestige.training.torch_recipe import TorchRecipe

SOURCE = "shadow_strict"
"""The threshold of all numbers: the best on the source model, used on the target as it is."""
PIXELS = InputSpace(low=0.0, high=1.0)


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much of the protocol is run.

    Attributes:
        n: Images of each block.
        n_searched: Images of each side of a model that the boundary is searched from.
        n_queries: Queries of such a search.
        estimator: How it is searched for.
    """

    n: int
    n_searched: int
    n_queries: int
    estimator: Estimator = surfree


SIZES = {
    Scale.SMOKE: Size(n=40, n_searched=4, n_queries=40),
    Scale.LAPTOP: Size(n=500, n_searched=50, n_queries=250),
    Scale.PAPER: Size(n=2_500, n_searched=2_500, n_queries=2_500, estimator=hop_skip_jump),
}


def cifar_recipe(scale: Scale, *, dropout: float = 0.0) -> TorchRecipe:
    """Return how models are trained: the published CNN at the scale `paper`, a small one elsewhere."""
    if scale is Scale.PAPER:
        return choquette_choo.cifar_recipe(dropout=dropout)
    return short(choquette_choo.small_cifar_recipe(dropout=dropout), scale)


@dataclass(frozen=True, kw_only=True, eq=False)
class Game:
    """The blocks of one trial, and how they are attacked.

    Attributes:
        members: What the target is trained on.
        nonmembers: Others.
        source: Records of the adversary: the source model is trained on half of them.
        references: Two more blocks, that the attackers of adversarial regularisation learn nonmembers from.
        size: How much is run.
        seed: Of the trial.
    """

    members: Records
    nonmembers: Records
    source: Records
    references: tuple[Records, ...]
    size: Size
    seed: int

    @property
    def space(self) -> InputSpace:
        """What inputs may be: fractions, or bytes."""
        return PIXELS if self.members.inputs.dtype.kind == "f" else InputSpace(low=0, high=255)

    @property
    def searched(self) -> tuple[Records, Records]:
        """Images of both sides that the boundary is searched from."""
        rows = np.arange(min(self.size.n_searched, self.members.n_records))
        return self.members.take(rows), self.nonmembers.take(rows)

    def fit(self, recipe: Recipe) -> Model:
        """Train the target."""
        return recipe.fit(self.members, seed=self.seed)

    def adversary(self, recipe: Recipe, n_sources: int = 1, *, searches: bool = False) -> ShadowTraining:
        """Return source models of the recipe; with searches, about as many images as of the target."""
        n_asked = 2 * self.searched[0].n_records if searches else None
        return ShadowTraining(recipe, records=self.source, n_sources=n_sources, n_asked_about=n_asked)

    def audited(
        self,
        target: Model,
        recipe: Recipe,
        attacks: Sequence[str],
        probes: Sequence[Probe] = (),
        *,
        n_sources: int = 1,
        searches: bool = False,
        **querying: Any,
    ) -> FinishedAudit:
        """Audit the target: on all images, or if the boundary is searched for, on those it is searched from."""
        sides = self.searched if searches else (self.members, self.nonmembers)
        return audit(
            target.classifier, *sides, adversary=self.adversary(recipe, n_sources, searches=searches), attacks=attacks,
            querying=Querying(inputs=self.space, label_only=tuple(probes), **querying), options=Options(seed=self.seed),
            progress=silent,
        )  # fmt: skip

    def search(self, n_queries: int | None = None) -> BoundarySearch:
        """Return the search for the boundary."""
        return BoundarySearch(n_queries or self.size.n_queries, self.size.estimator)

    def hidden_confidence(self, target: Model, recipe: Recipe) -> float:
        """Accuracy of the confidence behind the strongest MemGuard, to an adversary who does not know of it."""
        defence = Defended(defence=StrongestMemGuard(), known=KnowsDefence.UNAWARE)
        return rate_of(self.audited(target, recipe, ["confidence"], defence=defence), "confidence", SOURCE)


def game_of(
    records: Records, size: Size, seed: int, given: Callable[[Records, np.ndarray], Records] | None = None
) -> Game:
    """Return the blocks of a trial, of images in an order of its own.

    Args:
        records: Images.
        size: How much is run.
        seed: Of the trial.
        given: Takes some of the images, as models are given them; `pixels_of` if omitted.

    Source:
        Choquette-Choo et al. 2021, whose blocks are consecutive. Here the order is drawn: trials are of other images.
    """
    order = np.random.default_rng(seed).permutation(records.n_records)
    split = choquette_choo_blocks(order.size, size.n, defender=True)
    sides = (split.target_members, split.target_nonmembers, split.source_members, split.source_nonmembers)
    blocks = [(given or pixels_of)(records, order[mask]) for mask in (*sides, *split.defender)]
    return Game(
        members=blocks[0],
        nonmembers=blocks[1],
        source=joined(blocks[2], blocks[3]),
        references=tuple(blocks[4:]),
        size=size,
        seed=seed,
    )


def pixels_of(records: Records, rows: np.ndarray) -> Records:
    """Return some images of bytes as fractions, channels first, with their row numbers as ids."""
    chosen = records.take(rows)
    images = np.ascontiguousarray(np.moveaxis(chosen.inputs, -1, 1)).astype(np.float32) / 255
    return replace(chosen, inputs=images, ids=rows)


def accuracies(found: FinishedAudit, attacks: Mapping[str, str], metric: str = "balanced_accuracy") -> dict[str, float]:
    """Return a metric of attacks under names of the paper."""
    return {name: rate_of(found, attack, SOURCE, metric) for name, attack in attacks.items()}


def cheap_attacks(
    game: Game, target: Model, recipe: Recipe, distances: Sequence[int] = (1, 2), angles: Sequence[float] = (2.0, 4.0)
) -> dict[str, float]:
    """Gap, confidence, translations and rotations on all images: strengths are chosen on the source model."""
    probes = (Translations(tuple(distances)), Rotations(tuple(angles)))
    found = game.audited(target, recipe, ["correctness", "confidence", "translations", "rotations"], probes)
    measured = accuracies(
        found,
        {"gap": "correctness", "confidence": "confidence", "translation": "translations", "rotation": "rotations"},
    )
    return measured | {"data augmentation": max(measured["translation"], measured["rotation"])}


def plain_accuracies(game: Game, target: Model) -> dict[str, float]:
    """Accuracies of a target, as it stands."""
    return {
        "training accuracy": accuracy_of(target, game.members),
        "test accuracy": accuracy_of(target, game.nonmembers),
    }


SMALLER = (
    "500 images in each block, other ones in each trial; the paper has 2,500, always the same",
    "a CNN of a quarter of the channels and 41,874 parameters, in batches of 50, at most 80 epochs",
    "the boundary is searched from 50 images of each side of both models, by SurFree with 250 queries; the paper has "
    "HopSkipJump with 2,500, on all",
    "a threshold in place of the small networks of the augmentation and combined attacks",
    "CIFAR-10 compressed as JPEG",
)
"""Deviations of a laptop's trials."""
AS_PUBLISHED = (
    "other images in each trial; the paper's blocks are consecutive, and always the same",
    "a threshold in place of the small networks of the augmentation and combined attacks",
)
_row = functools.partial(Row, paper=Paper.CHOQUETTE_CHOO)


def figure(item: str, title: str, trial: Trial, *, seconds: float, hours: float, **entries: Any) -> tuple[Row, Row]:
    """Return a figure on CIFAR-10 compressed as JPEG, on a laptop, and on CIFAR-10 itself, as published.

    Args:
        item: Which.
        title: What it shows.
        trial: Runs one trial.
        seconds: Of a trial on a laptop, added up from measured times of a training and of a query.
        hours: Estimate of all trials as published, on a GPU.
        entries: `claims`, and further `deviations`.
    """
    further = tuple(entries.pop("deviations", ()))
    common = {"item": item, "title": title, "trial": trial, **entries}
    return (
        _row(data="cifar10-jpeg", seconds=seconds, deviations=(*SMALLER, *further), **common),
        _row(data="cifar10", gpu_hours=hours, deviations=AS_PUBLISHED, **common),
    )


Build = Callable[[Records], Recipe]
"""From the block that an attacker learns nonmembers from to how models are trained."""
