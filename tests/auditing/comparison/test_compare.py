"""Comparison of defences: its laws on planted models, the sentences, what is kept, refused and reported."""

import csv
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from tests.auditing.small_models import table, torch_recipe

from vestige import Records, ShadowTraining
from vestige.attacks import named
from vestige.auditing.comparison import compare as module
from vestige.auditing.comparison.compare import compare_defences
from vestige.auditing.comparison.family import UNDEFENDED, Family
from vestige.auditing.comparison.rates import (
    curve_of,
    measures_of,
    of_pairs,
    rates_of_the_worst,
    scores_in_turn,
)
from vestige.auditing.comparison.sentences import WITHOUT_DP
from vestige.auditing.references.phi import ReferencePhi, reference_phi
from vestige.auditing.trained_models import trained
from vestige.core.errors import InputError, TrainingError
from vestige.core.outputs import Logits, Phi, Probabilities
from vestige.core.predictions import Predictions
from vestige.core.progress import silent
from vestige.core.references import References
from vestige.data.sets.designs import complementary_pairs
from vestige.defences import LabelsOnly, StrongestMemGuard, TopK
from vestige.evaluation.trials import mean_of
from vestige.training.dp_sgd import DPSGD
from vestige.training.strategies import Measured, Strategy

ATTACKS = [named(name) for name in ("loss", "lira_online", "empirical_bayes_online")]


def planted(name: str, leak: float, n: int = 2_000, n_models: int = 8, seed: int = 0) -> Family:
    """Models in pairs whose phi of members is higher by `leak`."""
    rng = np.random.default_rng(seed)
    is_in = complementary_pairs(n_models, n, seed=5)
    phi = rng.normal(0, 2, n) + leak * is_in + rng.normal(size=is_in.shape)
    draws = np.arange(n_models) // 2
    references = References(Phi, phi, is_in, groups=draws)
    target = Predictions([Phi(phi[0])], labels=np.zeros(n, dtype=int), member=is_in[0])
    return Family(
        name=name,
        numbers=np.arange(n_models),
        draws=draws,
        is_in=is_in,
        correct=phi > 0,
        observed=reference_phi(references, target),
    )


def observed(family: Family) -> ReferencePhi:
    assert family.observed is not None
    return family.observed


def rates_in_turn(targets: Family, shadows: Family, attacks: Any, learnt: Any = None) -> dict[str, Any]:
    """Attack -> metric -> number of the model -> rate."""
    found: dict[str, Any] = {}
    for one in scores_in_turn(targets, shadows, attacks, learnt):
        for metric, measure in measures_of(one, curve_of(one)).items():
            found.setdefault(one.attack, {}).setdefault(metric, {})[one.model] = measure.value
    return found


def worst_and_all(family: Family) -> tuple[dict[int, float], dict[int, float]]:
    found = list(rates_of_the_worst(family))
    return {model: worst.value for model, worst, _ in found}, {model: rate.value for model, _, rate in found}


# ------------------------------------------------------------------------------------------------------- the rates


def test_rates_are_those_of_a_plain_loop():
    family = planted("none", 1.5, n=1_000)
    rates = rates_in_turn(family, family, ATTACKS)
    phi, is_in = observed(family).shadow_phi[:, :, 0], family.is_in
    for model in range(8):
        others = [m for m in range(8) if m // 2 != model // 2]
        scores = named("empirical_bayes_online").score(phi[model], phi[others], is_in[others])
        above = (scores[is_in[model]][:, None] > scores[~is_in[model]][None]).mean()
        assert rates["empirical_bayes_online"]["auc"][model] == pytest.approx(above, abs=1e-9)
        right = phi[model] > 0
        gap = right[is_in[model]].mean() - right[~is_in[model]].mean()
        assert rates["correctness"]["auc"][model] == pytest.approx(0.5 + gap / 2)


def test_an_unaware_adversary_reads_the_target_s_defended_answers():
    """Shadow models that stand 5 higher than the target see no member: the adversary who adapts still does."""
    plain = planted("none", 2.0)
    answers = dict(observed(plain).answers)
    for name in ("phi", "shadow_phi"):
        answers[name] = answers[name] * np.where(np.arange(2_000) % 2, 1.0, -1.0)[:, None]
    moved = replace(plain, observed=replace(observed(plain), answers=answers))
    adaptive = np.mean(list(rates_in_turn(moved, moved, ATTACKS)["empirical_bayes_online"]["auc"].values()))
    unaware = np.mean(list(rates_in_turn(moved, plain, ATTACKS)["empirical_bayes_online"]["auc"].values()))
    assert adaptive > unaware + 0.1


def test_what_is_learnt_from_undefended_models_serves_every_defence():
    plain, moved = planted("none", 1.5, n=400), planted("other", 0.5, n=400, seed=3)
    attacks = [named("learnt_ratio")]
    learnt: dict[int, Any] = {}
    rates_in_turn(plain, plain, attacks, learnt)
    assert set(learnt) == set(range(8))
    assert rates_in_turn(moved, plain, attacks, learnt) == rates_in_turn(moved, plain, attacks)


def test_no_leak_is_at_chance_for_all_and_for_the_worst():
    of_worst, of_all, areas = [], [], []
    for seed in range(10):
        family = planted("none", 0.0, n=4_000, seed=seed)
        worst, everyone = worst_and_all(family)
        of_worst += list(worst.values())
        of_all += list(everyone.values())
        areas += list(rates_in_turn(family, family, ATTACKS)["empirical_bayes_online"]["auc"].values())
    for found, chance in ((of_worst, 0.01), (of_all, 0.01), (areas, 0.5)):
        assert abs(np.mean(found) - chance) < 4 * np.std(found, ddof=1) / np.sqrt(len(found))


def test_the_worst_records_are_those_that_are_at_risk():
    family = planted("none", 0.0, n=4_000)
    at_risk = np.zeros(4_000)
    at_risk[:40] = 8.0
    plain = observed(family)
    phi = plain.shadow_phi + (family.is_in * at_risk)[:, :, None]
    leaky = replace(family, observed=replace(plain, answers={**plain.answers, "shadow_phi": phi}))
    worst, everyone = worst_and_all(leaky)
    assert min(worst.values()) > 0.8
    assert max(everyone.values()) < 0.05
    assert set(worst) == {4, 5, 6, 7}  # judged by the half that did not choose


def test_intervals_are_over_pairs():
    assert of_pairs({0: 0.2, 1: 0.4, 2: 0.6}, {0: 0, 1: 0, 2: 1}) == pytest.approx({0: 0.3, 1: 0.6})
    one = mean_of([0.4])
    assert (one.value, np.isnan(one.lower)) == (0.4, True)


# -------------------------------------------------------------------------------------------------- the comparison


@pytest.fixture(autouse=True)
def one_at_a_time(monkeypatch):
    measured = [Measured(Strategy(), 0.001)]
    monkeypatch.setattr("vestige.auditing.shadows.cost.measure_torch", lambda *_, **__: measured)


@dataclass(frozen=True)
class Nothing:
    """A defence of strength zero, as a stranger writes one."""

    keeps_labels: ClassVar[bool] = True

    def __call__(self, answers: Any) -> Any:
        return answers

    def identity(self) -> dict[str, Any]:
        return {"defence": "nothing"}


@dataclass(frozen=True)
class FittedHere(Nothing):
    """Fitted to nothing, and says what it was given."""

    seen: tuple[int, ...] = ()

    @property
    def is_fitted(self) -> bool:
        return bool(self.seen)

    def fitted(self, member_answers: Any, nonmember_answers: Any, seed: int) -> "FittedHere":
        return FittedHere((len(member_answers.whole()), len(nonmember_answers.whole()), seed))


RECORDS = table(120)


def compared(folder: Any, defences: dict[str, Any], **options: Any) -> Any:
    training = ShadowTraining(torch_recipe(epochs=4), n_models=options.pop("n_models", 6), bank=folder / "bank")
    given: dict[str, Any] = {"attacks": ["loss", "empirical_bayes_online"], "progress": silent}
    return compare_defences(RECORDS, training, defences, **(given | options))


def test_strength_zero_is_no_defence(tmp_path):
    found = compared(
        tmp_path, {"nothing": Nothing(), "same": torch_recipe(epochs=4), "fitted": FittedHere()}, pool=table(40, seed=9)
    )
    rows = {
        name: found.table[found.table.defence == name].set_index(["adversary", "attack", "metric"])
        for name in found.table.defence.unique()
    }
    for name in ("nothing", "same", "fitted"):
        own = rows[name][rows[name].index.get_level_values(0) != "unaware"]
        gain = own.index.get_level_values(2).str.contains(", less than ")
        assert (own[gain].value == 0).all()
        own = own[~gain]
        np.testing.assert_array_equal(own.value, rows[UNDEFENDED].loc[own.index].value)
        assert (rows[name].difference.dropna() == 0).all()
    assert [said.split(":")[0] for said in found.sentences if "It changed no answer" in said] == ["nothing", "fitted"]


def test_what_a_defence_of_answers_is_fitted_to(tmp_path, monkeypatch):
    seen: list[tuple[int, ...]] = []

    def noted(self: FittedHere, answers: Any) -> Any:
        seen.append(self.seen)
        return answers

    monkeypatch.setattr(FittedHere, "__call__", noted)
    compared(tmp_path, {"fitted": FittedHere()}, pool=table(40, seed=9))
    assert [one[:2] for one in seen] == [(60, 40)] * 6
    assert len({one[2] for one in seen}) == 6  # each with a seed of its own


def test_labels_alone_leave_the_gap_attack(tmp_path):
    found = compared(tmp_path, {"labels": LabelsOnly(), "strong": StrongestMemGuard()}).table
    assert set(found[found.defence == "labels"].attack) == {"correctness"}
    gap = found[(found.attack == "correctness") & (found.metric == "auc")].set_index("defence")
    assert gap.loc["labels"].value == gap.loc["strong"].value == gap.loc[UNDEFENDED].value


def test_early_stopping_stands_beside_each_defence(tmp_path):
    found = compared(tmp_path, {"smaller": torch_recipe(epochs=2)})
    names = set(found.table.defence)
    assert any(name.startswith("early stopping, epoch ") or name == UNDEFENDED for name in names)
    (_, said) = found.sentences
    assert said.startswith("smaller: the strongest adaptive attack (")
    row = found.table[found.table.metric.str.contains(", less than ")].iloc[0]
    other = row.metric.split(", less than ")[1].replace("none", "no defence")
    assert f"Better than {other} at test accuracy" in said
    assert f", by {row.value:+.3f} [{row.lower:+.3f}, {row.upper:+.3f}]." in said
    assert (row.defence, row.adversary) == ("smaller", "adaptive")
    assert "the gain on undefended models at the first epoch" in found._repr_html_()
    assert str(found).splitlines() == [*found.sentences, *found.notes]
    assert found.notes == (WITHOUT_DP,)


def test_every_defence_is_compared_with_weakly_private_training(tmp_path):
    dp = {f"dp {noise}": replace(torch_recipe(epochs=2), defences=(DPSGD(1.0, noise=noise),)) for noise in (0.5, 50.0)}
    found = compared(tmp_path, {"top": TopK(2), **dp})
    assert found.notes == ()
    said = dict(zip((UNDEFENDED, "top", *dp), found.sentences, strict=True))
    accuracies = found.table.groupby("defence").test_accuracy.first()
    nearest = min(dp, key=lambda name: abs(accuracies[name] - accuracies["top"]))
    assert f"Better than weakly private DP-SGD ({nearest}, epsilon " in said["top"]
    assert all("weakly private" not in said[name] for name in (UNDEFENDED, *dp))
    difference = accuracies[nearest] - accuracies["top"]
    assert (f"Its test accuracy differs by {difference:+.3f}." in said["top"]) == (abs(difference) > 0.02)


def test_a_run_goes_on_and_holds_table_and_page(tmp_path):
    once = compared(tmp_path, {"top, 2": TopK(2)}, run=tmp_path / "run")
    again = compared(tmp_path, {"top, 2": TopK(2)}, run=tmp_path / "run")
    assert once.table.equals(again.table)
    with (tmp_path / "run" / "comparison.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(once.table)
    page = (tmp_path / "run" / "comparison.html").read_text()
    assert page.count("<svg") == 3
    assert "<script" not in page
    assert "top, 2" in page
    assert "at 0.9 or more" in page
    assert (
        page
        == (
            compared(tmp_path, {"top, 2": TopK(2)}).save(tmp_path / "b"),
            (tmp_path / "b" / "comparison.html").read_text(),
        )[1]
    )


def test_a_defence_whose_models_fail_is_reported(tmp_path, monkeypatch):

    def failing(recipe: Any, *given: Any) -> Any:
        if recipe.epochs == 3:
            raise TrainingError("Shadow model 0: diverged")
        return trained(recipe, *given)

    monkeypatch.setattr(module, "trained", failing)
    found = compared(tmp_path, {"bad": torch_recipe(epochs=3), "good": torch_recipe(epochs=2)})
    assert found.failures == {"bad": "no model could be trained: Shadow model 0: diverged"}
    assert set(found.table.defence) >= {"good", UNDEFENDED}
    assert "bad" in found._repr_html_()


SHARED = Records(np.asarray(RECORDS.inputs)[:5], np.asarray(RECORDS.labels)[:5], ids=np.arange(5))


@pytest.mark.parametrize(
    ("defences", "options", "message"),
    [
        ({}, {}, "Expected defences to compare, found none"),
        ({"none": Nothing()}, {}, "Expected another name of a defence than 'none'"),
        ({"a/b": Nothing()}, {}, "which is taken or no name of a folder"),
        ({"..": Nothing()}, {}, "which is taken or no name of a folder"),
        ({"x": TopK}, {}, "Expected a recipe or a defence of answers as x, found type"),
        ({"x": Nothing()}, {"n_models": 4}, "Expected 6 models per defence or more, found 4"),
        ({"x": FittedHere()}, {}, "Expected a third pool for x"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path, defences, options, message):
    with pytest.raises(InputError, match=message):
        compared(tmp_path, defences, **options)


def test_audited_records_in_the_third_pool_are_refused(tmp_path):
    audited = replace(RECORDS, ids=np.arange(120))
    with pytest.raises(InputError, match="Expected a third pool without audited records, found 5 of them"):
        compare_defences(audited, ShadowTraining(torch_recipe(), n_models=6), {"x": FittedHere()}, pool=SHARED)


def test_audited_records_in_the_third_pool_are_refused_without_ids_too():
    training = ShadowTraining(torch_recipe(), n_models=6)
    with pytest.raises(InputError, match="Expected a third pool without audited records, found 5 of them"):
        compare_defences(RECORDS, training, {"x": FittedHere()}, pool=replace(SHARED, ids=None))


def test_raw_answers_of_both_kinds_are_defended_alike():
    logits = np.random.default_rng(0).normal(size=(5, 3))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(TopK(2)(Logits(logits)).whole(), TopK(2)(Probabilities(p)).whole(), rtol=1e-9)
