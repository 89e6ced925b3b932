"""Figures 3, 4 and 8: models trained with augmentation, and attacks by the same."""

from dataclasses import replace

import numpy as np

from vestige.auditing.label_only.augmentations import Augmentations
from vestige.auditing.label_only.translations import Translations
from vestige.auditing.sweep import sweep
from vestige.core.options import Options
from vestige.core.progress import silent
from vestige.core.records import Records
from vestige.papers import choquette_choo
from vestige.papers.augmentations import OnBytes
from vestige.papers.reproduction.playing import short
from vestige.papers.reproduction.row import Claim, Scale
from vestige.papers.reproduction.rows.choquette_choo.images import (
    SIZES,
    SOURCE,
    Size,
    accuracies,
    cifar_recipe,
    figure,
    game_of,
    plain_accuracies,
)
from vestige.papers.reproduction.verdicts import Relation
from vestige.training.defences import Translates
from vestige.training.torch_recipe import TorchRecipe

# --------------------------------------------------------------------------------------- Figures 3 and 8

_TRAINED = {Scale.SMOKE: (0, 1), Scale.LAPTOP: (0, 1, 2, 3), Scale.PAPER: (0, 1, 2, 3, 4, 5)}


def translates_trial(records: Records, scale: Scale, seed: int) -> dict[str, float]:
    """Targets trained with all translates of up to some pixels: their accuracy, and attacks of every distance."""
    game, found = game_of(records, SIZES[scale], seed), dict[str, float]()
    for trained in _TRAINED[scale]:
        recipe = cifar_recipe(scale)
        recipe = replace(recipe, defences=(Translates(trained),)) if trained else recipe
        target = game.fit(recipe)
        whole = game.audited(target, recipe, ["correctness", "confidence"])
        searched = game.audited(target, recipe, ["boundary_distance"], (game.search(),), searches=True)
        numbers = accuracies(whole, {"gap": "correctness", "confidence": "confidence"})
        numbers |= accuracies(searched, {"boundary distance": "boundary_distance"}) | plain_accuracies(game, target)
        asked = [distance for distance in _TRAINED[scale] if distance]
        table = sweep(
            target.classifier, game.members, game.nonmembers, [Translations((distance,)) for distance in asked],
            adversary=game.adversary(recipe), options=Options(seed=seed), progress=silent,
        )  # fmt: skip
        rows = table[(table["threshold"] == SOURCE) & (table["metric"] == "balanced_accuracy")]
        by_distance = dict(zip(asked, map(float, rows["value"]), strict=True)) | {0: numbers["gap"]}
        numbers["translation"] = by_distance[trained]
        found |= {f"{name} @ {trained}": value for name, value in numbers.items()}
        found |= {f"trained with {trained} @ {distance}": by_distance[distance] for distance in sorted(by_distance)}
    return found


_UP_TO_3 = ("translates of up to 3 pixels; the paper has up to 5",)
FIGURE3 = figure(
    "figure3", "models trained with translates, by their distance", translates_trial, seconds=420.0, hours=15.0,
    claims=(
        Claim(better="test accuracy @ 3", other="test accuracy @ 0"),
        Claim(better="gap @ 0", other="gap @ 3"),
        Claim(better="confidence @ 0", other="confidence @ 3"),
        Claim(better="boundary distance @ 0", other="boundary distance @ 3"),
        Claim(better="translation @ 3", other="translation @ 0"),
        Claim(better="translation @ 3", other="confidence @ 3"),
        Claim(better="translation @ 3", other="confidence @ 0"),
    ),
    deviations=_UP_TO_3,
)  # fmt: skip
FIGURE8 = figure(
    "figure8", "distances of the attack's translates, for those of the training", translates_trial,
    seconds=420.0, hours=15.0,
    claims=tuple(
        Claim(better=f"trained with {own} @ {own}", other=f"trained with {own} @ {other}", relation=Relation.AT_LEAST)
        for own in (1, 2, 3) for other in (1, 2, 3) if other != own
    ),
    deviations=_UP_TO_3,
)  # fmt: skip

# ------------------------------------------------------------------------------------------------- Figure 4

_SIZES4 = {Scale.SMOKE: (40,), Scale.LAPTOP: (250, 500), Scale.PAPER: (500, 1_000, 2_500, 5_000, 10_000)}
_DRAWS = {Scale.SMOKE: 5, Scale.LAPTOP: 50, Scale.PAPER: 1_000}


def _resnet_recipe(scale: Scale, *, regularised: bool) -> TorchRecipe:
    """FixMatch's own at the scale `paper`, a small one elsewhere."""
    if scale is Scale.PAPER:
        return choquette_choo.fixmatch_recipe(regularised=regularised)
    return short(choquette_choo.small_fixmatch_recipe(regularised=regularised), scale)


def _bytes_of(records: Records, rows: np.ndarray) -> Records:
    return replace(records.take(rows), ids=rows)


def figure4_trial(records: Records, scale: Scale, seed: int) -> dict[str, float]:
    """A wide ResNet with all of FixMatch's regularisations, and without any; attacks by draws of its augmentation."""
    found: dict[str, float] = {}
    draws = Augmentations(OnBytes(choquette_choo.fixmatch_augmentation()), _DRAWS[scale])
    names = {"gap": "correctness", "confidence": "confidence", "data augmentation": "random_augmentations"}
    for n in _SIZES4[scale]:
        game = game_of(records, Size(n=n, n_searched=0, n_queries=0), seed, _bytes_of)
        for words, regularised in (("with augmentations", True), ("without", False)):
            recipe = _resnet_recipe(scale, regularised=regularised)
            target = game.fit(recipe)
            numbers = accuracies(game.audited(target, recipe, list(names.values()), (draws,)), names)
            numbers |= plain_accuracies(game, target)
            found |= {f"{words}: {name} @ {n}": value for name, value in numbers.items()}
    return found


FIGURE4 = figure(
    "figure4", "a wide ResNet with and without FixMatch's regularisations", figure4_trial, seconds=600.0, hours=60.0,
    claims=(
        Claim(better="with augmentations: test accuracy @ 500", other="without: test accuracy @ 500"),
        Claim(
            better="with augmentations: data augmentation @ 500", other="with augmentations: confidence @ 500",
            relation=Relation.AT_LEAST,
        ),
        Claim(better="with augmentations: data augmentation @ 500", other="with augmentations: gap @ 500"),
    ),
    deviations=(
        "a wide ResNet of 10 layers and 16 to 64 channels for 60 epochs, whose normalisation forgets at 0.1 a step; "
        "FixMatch's has 28 layers, 32 to 128 channels and 0.001",
        "250 and 500 images; 50 draws of the augmentation for the attack where the paper has 1,000; no search",
    ),
)  # fmt: skip

ROWS = (*FIGURE3, *FIGURE8, *FIGURE4)
