"""Audits with access to gradients ask shadow networks for theirs, and calibrate the gradient norm."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tests.auditing.planted import row
from tests.auditing.small_models import bayes, torch_recipe

from vestige import Querying, Records, ShadowTraining, audit
from vestige.attacks.calibration import calibration_gradient_norm
from vestige.core.errors import RunFolderError
from vestige.data.signals.store import SignalStore
from vestige.training.function_recipe import FunctionRecipe

N = 40
NAME = "calibration_gradient_norm"
ATTACKS = ["gradient_norm", "calibration_loss", NAME]
RECIPE = torch_recipe(epochs=40, optimiser=partial(torch.optim.Adam, lr=0.05))


def sides() -> list[Records]:
    rng = np.random.default_rng(0)
    return [Records(rng.normal(size=(N, 4)).astype(np.float32), rng.integers(0, 3, N), classes="abc") for _ in "io"]


def audited(run: Path, access: str = "gradients", recipe=RECIPE, attacks=ATTACKS):
    members, nonmembers = sides()
    training = ShadowTraining(recipe, n_models=8, bank=run.parent / "bank")
    model = RECIPE.fit(members, seed=99).classifier
    return audit(
        model, members=members, nonmembers=nonmembers, querying=Querying(access=access), adversary=training,
        attacks=attacks, run=run,
    )  # fmt: skip


def stored(run: Path) -> SignalStore:
    return SignalStore.open(run / "signals.zarr")


def test_shadow_networks_are_asked_for_gradients_and_thresholds_come_from_one_of_them(tmp_path):
    result = audited(tmp_path / "run")
    norms, is_in = stored(tmp_path / "run").read("gradient_norms"), stored(tmp_path / "run").read("member")
    assert norms.shape == (8, 2 * N)
    expected = calibration_gradient_norm(-result.records["gradient_norm"].to_numpy(), norms, is_in.astype(bool))
    np.testing.assert_allclose(result.records[NAME], expected)
    assert row(result, attack=NAME, metric="auc", group="all").value > 0.6
    for attack in (NAME, "gradient_norm"):
        assert {r.threshold for r in result.results.itertuples() if r.attack == attack} >= {"shadow_global"}
    [threat] = [t for t in result.threat_models if t.attack == NAME]
    assert (threat.interface, threat.knowledge) == ("gradients", ("train", "data", "label", "model"))
    assert {s.attack for s in result.spread} >= {NAME}  # every shadow model in turn as the target


def test_a_run_started_again_trains_nothing_and_ends_with_the_same_numbers(tmp_path, monkeypatch):
    first = audited(tmp_path / "run")
    monkeypatch.setattr("vestige.auditing.shadows.job.train_group", None)
    again = audited(tmp_path / "run")
    pd.testing.assert_frame_equal(first.results, again.results)
    elsewhere = audited(tmp_path / "other")  # models are in the bank, with or without their gradients
    pd.testing.assert_frame_equal(first.records, elsewhere.records)
    with pytest.raises(RunFolderError):
        audited(tmp_path / "run", access="confidence", attacks=["calibration_loss"])
    audited(tmp_path / "third", access="confidence", attacks=["calibration_loss"])


@pytest.mark.parametrize("case", ["confidence", "attacks", "recipe"])
def test_nobody_is_asked_for_gradients_that_nothing_reads(tmp_path, case):
    result = {
        "confidence": lambda run: audited(run, access="confidence"),
        "attacks": lambda run: audited(run, attacks=["gradient_norm", "calibration_loss"]),
        "recipe": lambda run: audited(run, recipe=FunctionRecipe(bayes)),
    }[case](tmp_path / "run")
    assert "gradient_norms" not in stored(tmp_path / "run").variables
    assert NAME not in result.records
    assert "calibration_loss" in result.records
    if case == "recipe":
        assert NAME in {left.attack for left in result.not_run}
