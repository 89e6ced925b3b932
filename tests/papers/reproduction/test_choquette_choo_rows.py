"""Rows on images: blocks of their own, attacks by the product, and defences beside models that are as accurate."""

from types import SimpleNamespace

import numpy as np
import pytest

from vestige.core.records import Records
from vestige.papers.reproduction.row import Scale
from vestige.papers.reproduction.rows import choquette_choo
from vestige.papers.reproduction.rows.choquette_choo import defended
from vestige.papers.reproduction.rows.choquette_choo.attacks import figure7_trial
from vestige.papers.reproduction.rows.choquette_choo.images import SIZES, game_of
from vestige.papers.reproduction.verdicts import Relation


@pytest.fixture(scope="module")
def images() -> Records:
    rng = np.random.default_rng(0)
    return Records(rng.integers(256, size=(300, 32, 32, 3), dtype=np.uint8), np.arange(300) % 10)


def test_blocks_are_disjoint_and_other_ones_in_each_trial(images):
    games = [game_of(images, SIZES[Scale.SMOKE], seed) for seed in (0, 1)]
    for game in games:
        blocks = (game.members, game.nonmembers, game.source, *game.references)
        ids = np.concatenate([np.asarray(block.ids) for block in blocks])
        assert np.unique(ids).size == ids.size == 6 * 40
        assert game.members.inputs.shape == (40, 3, 32, 32)
        assert np.allclose(game.members.inputs[0, 1] * 255, images.inputs[game.members.ids[0], :, :, 1])
    assert set(games[0].members.ids) != set(games[1].members.ids)


def test_a_trial_on_images_runs_and_its_seed_decides_all_of_it(images, tmp_path, monkeypatch):
    monkeypatch.setenv("VESTIGE_BANK", str(tmp_path))
    found = figure7_trial(images, Scale.SMOKE, 1)
    assert {"gap @ 1", "confidence @ 2", "boundary distance @ 1"} <= set(found)
    assert all(0 <= value <= 1 for value in found.values())
    assert figure7_trial(images, Scale.SMOKE, 1) == found


def test_a_defence_is_set_beside_the_first_epoch_that_is_as_accurate():
    found = {
        "none": {"test accuracy": 0.5, "label-only": 0.9},
        "stopped early 2": {"test accuracy": 0.2, "label-only": 0.55},
        "stopped early 5": {"test accuracy": 0.4, "label-only": 0.7},
    }
    beside = [defended._as_accurate({"test accuracy": accuracy}, found) for accuracy in (0.1, 0.3, 0.45, 0.9)]
    assert beside == [0.55, 0.7, 0.9, 0.9]


@pytest.mark.parametrize("scale", [Scale.LAPTOP, Scale.PAPER])
def test_what_is_claimed_of_defences_is_measured_at_both_scales(scale, monkeypatch):
    names = (
        "gap", "confidence", "boundary distance", "label-only", "training accuracy", "test accuracy", "train-test gap",
        "precision on outliers", "precision on all",
    )  # fmt: skip
    game = SimpleNamespace(fit=lambda recipe: None, hidden_confidence=lambda target, recipe: 0.5)
    monkeypatch.setattr(defended, "game_of", lambda *given: game)
    monkeypatch.setattr(defended, "attacked", lambda game, build: dict.fromkeys(names, 0.5))
    monkeypatch.setattr(defended, "_transferred", lambda *given: {})
    for row in defended.ROWS:
        measured = row.trial(Records(np.zeros((2, 1)), [0, 1]), scale, 0)
        assert {name for claim in row.claims for name in (claim.better, claim.other)} <= set(measured)


def test_every_figure_is_on_a_laptop_and_as_published_and_claims_more_than_nothing():
    rows = [row for row in choquette_choo.ROWS if row.item.startswith(("figure", "appendix", "section"))]
    for item in {row.item for row in rows}:
        assert {row.data for row in rows if row.item == item} == {"cifar10-jpeg", "cifar10"}
    for row in rows:
        assert row.claims
        assert all(claim.better != claim.other for claim in row.claims)
        assert {claim.relation for claim in row.claims} <= set(Relation)
        assert bool(row.gpu_hours) == (row.data == "cifar10")
