"""Rows of Carlini et al. 2022: what a trial draws; the released design and arithmetic are those of the code."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from vestige.attacks.lira import lira_online
from vestige.core.likelihood_ratio import Center, Counts, Variance
from vestige.core.outputs import Logits
from vestige.core.recipe import Model
from vestige.core.records import Records
from vestige.data.sets.designs import rank_design
from vestige.evaluation.roc import roc
from vestige.papers.reproduction.row import Scale
from vestige.papers.reproduction.rows import ROWS
from vestige.papers.reproduction.rows.carlini import insertion, low_rates
from vestige.papers.reproduction.rows.carlini.plans import Plan, drawn, images, location_recipe, small_recipe
from vestige.signals.phi import phi_of

N = 60


def pictures(n: int = N, seed: int = 0) -> Records:
    rng = np.random.default_rng(seed)
    return Records(rng.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8), rng.integers(0, 10, n), classes=10)


class Remembers:
    """A recipe whose models are surer of the images that they were trained on, each in its own way."""

    def fit(self, records: Records, *, seed: int, **_: Any) -> Model:
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Flatten(), nn.Linear(32 * 32 * 3, 10))
        known = torch.tensor(records.inputs[:, 0, 0, 0].astype(np.float32))

        class Answers(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.network = network

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                seen = (x[:, 0, 0, 0].float()[:, None] == known).any(dim=1, keepdim=True)
                logits: torch.Tensor = self.network(x.float() / 255 - 0.5)
                return logits * (1 + seen.float())

        return Model(Answers().eval(), 10, seed=seed)


def test_the_demonstration_is_the_released_design_and_arithmetic():
    """Against the plain form: rank design, the last model as target, medians, as many models as every record has."""
    plan = Plan(recipe=Remembers, n_records=N, n_models=8)  # type: ignore[arg-type]
    records = pictures()
    found = low_rates.demo_trial({Scale.LAPTOP: plan}, records, Scale.LAPTOP, 3)
    pool, member = drawn(records, N, 3), rank_design(8, N, seed=3)
    phi = np.empty((8, N, 2))
    for i, row in enumerate(member):
        model = Remembers().fit(pool.take(row), seed=8 * 3 + i)
        for view, inputs in enumerate((pool.inputs, pool.inputs[:, :, ::-1])):
            answers = model.classifier(torch.from_numpy(inputs.copy())).detach().numpy()
            phi[i, :, view] = phi_of(Logits, answers, pool.labels)
    ways: Any = {"center": Center.MEDIAN, "counts": Counts.SMALLEST, "min_std": 1e-6}
    for variance, name in ((Variance.PER_RECORD, "online"), (Variance.PUBLISHED_FIXED, "online, fixed variance")):
        scores = lira_online(phi[-1], phi[:-1], member[:-1], variance=variance, **ways)
        expected = roc(scores[member[-1]], scores[~member[-1]]).auc
        assert found[f"{name}: AUC"] == pytest.approx(expected, abs=0.005)
    alone = phi[-1].mean(axis=1)
    assert found["global threshold: AUC"] == pytest.approx(roc(alone[member[-1]], alone[~member[-1]]).auc, abs=0.005)


def test_records_are_drawn_anew_for_every_trial_and_go_by_their_row():
    records = pictures()
    one, again, other = (drawn(records, 20, seed) for seed in (1, 1, 2))
    assert one.ids.tolist() == again.ids.tolist() != other.ids.tolist()
    np.testing.assert_array_equal(one.inputs, records.inputs[one.ids])
    assert drawn(records, 20, 1, among=20).ids.max() < 20
    assert one.n_classes == 10


def test_what_is_inserted_is_of_the_form_of_cifar10(monkeypatch):
    monkeypatch.setattr(insertion, "N_CIFAR", 40)
    records = pictures()
    wrong = insertion.wrongly_labelled(records, 15, 1)
    places = {image.tobytes(): row for row, image in enumerate(records.inputs)}
    rows = [places[image.tobytes()] for image in wrong.inputs]
    assert min(rows) >= 40  # of the test part
    assert (wrong.labels != records.labels[rows]).all()
    digits = Records(np.full((30, 28, 28, 1), 9, np.uint8), np.zeros(30, dtype=int), classes=10)
    cinic = replace(records, groups={"origin": np.where(np.arange(N) < 30, "imagenet", "cifar10")})
    sets = {"mnist": digits, "cifar100": pictures(50, seed=1), "cinic10": cinic}
    monkeypatch.setattr(insertion, "load", sets.__getitem__)
    for make in (insertion.digits, insertion.photographs, insertion.of_imagenet):
        found = make(12, 0)
        assert found.inputs.shape == (12, 32, 32, 3)
        assert found.inputs.dtype == np.uint8
        assert found.n_classes == 10
    assert insertion.digits(12, 0).inputs[0, :, :, 0].sum() == 9 * 28 * 28
    of_imagenet = insertion.of_imagenet(12, 0)
    assert {image.tobytes() for image in of_imagenet.inputs} <= {image.tobytes() for image in records.inputs[:30]}


def test_scores_are_of_every_group(monkeypatch):
    """Groups are told apart by their ids, whatever the order of the records table."""

    def audited(pool: Records, *_: Any, **__: Any) -> Any:
        import pandas as pd

        mean = pool.inputs.reshape(pool.n_records, -1).mean(axis=1)
        return SimpleNamespace(records=pd.DataFrame({"id": pool.ids, "privacy_score": mean}).sample(frac=1.0))

    def bright(n: int, _: int) -> Records:
        return Records(np.full((n, 32, 32, 3), 255, np.uint8), np.zeros(n, dtype=int), classes=10)

    monkeypatch.setattr(insertion, "audit_recipe", audited)
    monkeypatch.setattr(insertion, "N_CIFAR", 40)
    found = insertion.figure13_trial(images(4, 4), {"bright": bright}, pictures(), Scale.SMOKE, 0)
    assert {found[f"bright @ {share}"] for share in (0.1, 0.5, 0.9)} == {255.0}
    assert found["CIFAR-10 @ 0.9"] < 140


def test_recipes_of_small_networks_train():
    records = pictures(20)
    model = small_recipe(epochs=1).fit(records, seed=0)
    assert model.classifier(torch.from_numpy(records.inputs)).shape == (20, 10)
    assert location_recipe(7).epochs == 7
    assert location_recipe().stop is None


def test_items_on_data_at_hand_set_no_number_beside_published_ones():
    ours = [row for row in ROWS if row.paper == "carlini2022" and row.data in ("cifar10-jpeg", "location30")]
    assert {row.item for row in ours} == {"headline", "demo", "figure12", "figure13", "conclusion"}
    assert not any(row.published for row in ours)
