"""What the rows of Song & Mittal 2021 measure of one model, against loops that are plainly right."""

import numpy as np
import pytest
from tests.auditing.planted import predictions
from torch import nn

from vestige.core.records import Records
from vestige.data.sets.paper_designs import AdvRegSplit
from vestige.papers.reproduction.row import Scale
from vestige.papers.reproduction.rows.song_mittal import settings
from vestige.papers.reproduction.rows.song_mittal.attacked import (
    LEVELS,
    NOBODY,
    by_prior,
    by_tenths,
    distribution,
    measured,
)
from vestige.papers.reproduction.rows.song_mittal.networks import VARIANTS, half_of, images_trial
from vestige.papers.reproduction.rows.song_mittal.settings import EXTRAS, SHADOWED, SPLITS, small_network
from vestige.papers.song_mittal import advreg_network, ch_mnist_recipe


def test_tenths_of_records_share_the_members_of_equal_scores():
    rng = np.random.default_rng(0)
    score, member = rng.integers(0, 4, 57) / 4, rng.random(57) < 0.5
    found = by_tenths("risk", "none", score, member)
    share = {value: member[score == value].mean() for value in np.unique(score)}
    for tenth, rows in enumerate(np.array_split(np.sort(score), 10), start=1):
        assert found[f"risk, none @ {tenth}"] == pytest.approx(rows.mean())
        assert found[f"members by risk, none @ {tenth}"] == pytest.approx(np.mean([share[value] for value in rows]))


def test_the_order_of_the_records_does_not_matter():
    rng = np.random.default_rng(1)
    score, member, order = rng.integers(0, 5, 40) / 4, rng.random(40) < 0.5, rng.permutation(40)
    one, other = by_tenths("risk", "none", score, member), by_tenths("risk", "none", score[order], member[order])
    assert one == pytest.approx(other)
    assert distribution("none", score) == pytest.approx(distribution("none", score[order]))


def test_a_distribution_counts_members_at_or_below():
    risk = np.array([0.3, 0.6, 0.6, 0.8, 1.0])
    found = distribution("none", risk)
    for level in LEVELS:
        assert found[f"at or below, none @ {level:g}"] == sum(value <= level for value in risk) / 5
    assert (found["none: members above risk 0.6"], found["none: members above risk 0.8"]) == (0.4, 0.2)


def test_both_forms_of_the_risk_stand_side_by_side_and_agree_where_many_are_known():
    known, given = predictions(400, 0.0, 2), predictions(400, 0.0, 3)
    found = measured("none", given, known)
    assert found["none: recall at risk 1"] == 0
    assert found["none: precision at risk 1"] == NOBODY
    assert found["none, smoothed: recall at risk 0.5"] == pytest.approx(found["none: recall at risk 0.5"], abs=0.1)
    assert found["none: best metric"] == max(
        found[f"none: {a}"] for a in ("correctness", "confidence", "entropy", "modified_entropy")
    )
    assert by_prior("none", given, known)["error of calibration, none @ 0.5"] == pytest.approx(
        found["none: risk, error of calibration"]
    )


@pytest.mark.parametrize("data", [data for data in SPLITS if data != "cifar100"])
def test_the_sets_of_a_known_half_are_disjoint_and_large_enough(data):
    n = {"purchase100": 197_324, "texas100": 67_330}.get(data, 5_010)
    split = SPLITS[data](np.random.default_rng(0).permutation(n))
    parts = (split.members, split.reference, split.evaluation)
    assert np.unique(np.concatenate(parts)).size == sum(part.size for part in parts)
    assert split.evaluation.size >= split.members.size


@pytest.mark.parametrize("data", SHADOWED)
def test_the_sets_of_a_shadow_model_are_disjoint(data):
    n = {"texas100": 67_330}.get(data, 5_010)
    parts = list(vars(SHADOWED[data].split(np.random.default_rng(0).permutation(n))).values())
    assert np.unique(np.concatenate(parts)).size == sum(part.size for part in parts)


@pytest.mark.parametrize("data", EXTRAS)
def test_small_networks_have_a_quarter_of_the_width(data):
    def widths(network):
        return [layer.out_features for layer in network.modules() if isinstance(layer, nn.Linear)][:-1]

    assert widths(small_network(data)) == [width // 4 for width in widths(advreg_network(5))]


def test_the_networks_of_figure_4_are_those_of_its_legend():
    assert list(VARIANTS["purchase100"]) == [
        "Tanh, 1, 4", "Tanh, 1, 3", "Tanh, 1, 5", "Tanh, 0.5, 4", "Tanh, 2, 4", "ReLU, 1, 4", "Sigmoid, 1, 4"
    ]  # fmt: skip
    assert not [name for name in VARIANTS["texas100"] if "Sigmoid" in name]


def test_images_of_the_published_form_run_through_the_row_of_appendix_a():
    """Numbers of noise, set beside nothing: the row runs for whoever has the images."""
    images = np.random.default_rng(0).integers(0, 256, (90, 64, 64, 1), dtype=np.uint8)
    records = Records(images, np.arange(90) % 8)
    found = images_trial(ch_mnist_recipe, 40, records, Scale.SMOKE, 0)
    assert {"none: training accuracy", "none: best metric", "none: network"} <= set(found)
    assert all(0 <= value <= 1 for name, value in found.items() if name.endswith("accuracy"))


def test_of_fewer_test_images_than_training_images_as_many_of_both_are_attacked(monkeypatch):
    rng = np.random.default_rng(0)
    split = SPLITS["cifar100"](rng.permutation(60_000))
    assert split.members.max() < 50_000 <= split.evaluation.min()
    records = Records(rng.random((60, 4)), np.arange(60) % 2)
    monkeypatch.setitem(settings.SPLITS, "cifar100", lambda rows: AdvRegSplit(rows[:45], rows[:0], rows[45:]))
    half = half_of("cifar100", records, Scale.LAPTOP, 0)
    assert (half.members.n_records, half.known[0].n_records, half.attacked[0].n_records) == (45, 7, 8)
