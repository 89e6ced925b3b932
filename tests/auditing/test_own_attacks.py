"""Own attacks in an audit: treated as ours everywhere, and some of ours alone."""

import functools
import json
import re
import tomllib
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.auditing.planted import logits_of, of_attack, rows, softmax
from tests.auditing.small_models import bayes

from vestige import Attack, Options, Predictions, Records, References, Shadow, ShadowTraining, audit
from vestige.attacks import CATALOGUE, bibtex
from vestige.attacks.calibration import calibration_loss
from vestige.auditing.files.audit_file import audit_file_of
from vestige.auditing.policy import Limit, parse_policy
from vestige.auditing.selection import select
from vestige.auditing.shadows import cost as planning
from vestige.core.errors import InputError, RunFolderError
from vestige.core.options import Arithmetic
from vestige.core.outputs import GradientNorms, Logits, Loss, Phi, PredictedLabels, Probabilities
from vestige.training.function_recipe import FunctionRecipe
from vestige.training.strategies import Measured, Strategy

N = 400
Z, Y, M = logits_of(N, 1.5, seed=5)
OURS = [attack.name for attack in CATALOGUE if not attack.learns]
ON_ANSWERS = {"correctness", "loss", "confidence", "max_confidence", "entropy", "modified_entropy"}


def target(**columns) -> Predictions:
    return Predictions(Logits(Z), Y, M, **columns)


def our_loss(losses):
    """The loss again."""
    return -losses


def our_entropy(probabilities, *, floor=1e-300):
    return (probabilities * np.log(np.maximum(probabilities, floor))).sum(axis=1)


def our_phi(phi):
    return phi


def our_calibration(phi, shadow_phi, is_in):
    return calibration_loss(phi, shadow_phi, is_in)


def failing(labels):
    raise KeyError("alas")


def not_finite(losses):
    return np.where(losses > np.median(losses), np.nan, losses)


@pytest.fixture(scope="module")
def both():
    return audit(target(groups={"ward": np.arange(N) % 2}), attacks=["all", our_loss, our_entropy])


@pytest.fixture(scope="module")
def everything():
    return audit(target(), attacks=["all", our_loss])


def numbers(result, attack: str) -> pd.DataFrame:
    return of_attack(result, attack).drop(columns=["attack", "definition"]).reset_index(drop=True)


# ------------------------------------------------------------------------------- treated as ours


@pytest.mark.parametrize(("own", "ours"), [("our_loss", "loss"), ("our_entropy", "entropy")])
def test_the_score_of_one_of_ours_gets_all_of_its_numbers(both, own, ours):
    pd.testing.assert_frame_equal(numbers(both, own), numbers(both, ours), rtol=1e-9)
    np.testing.assert_allclose(both.records[own], both.records[ours], rtol=1e-9, atol=1e-12)
    assert own in {roc.attack for roc in both.rocs}
    mine, theirs = (next(t for t in both.threat_models if t.attack == name) for name in (own, ours))
    assert (mine.interface, mine.knowledge, mine.source) == (theirs.interface, theirs.knowledge, "custom")


def test_what_is_worst_and_the_test_over_all_allow_for_it(both):
    assert "8 attacks" in rows(both, attack="worst", metric="auc", group="all", threshold="roc").iloc[0]["definition"]
    assert list(both.records.columns[-9:-1]) == [*[n for n in OURS if n in ON_ANSWERS], "our_loss", "our_entropy"]


@pytest.mark.parametrize(
    "output", [Logits(Z), Probabilities(softmax(Z)), Phi(Z[:, 0] - Z[:, 1]), Loss(np.logaddexp(0, Z[:, 1] - Z[:, 0]))]
)
def test_phi_is_there_whatever_tells_it(output):
    result = audit(Predictions(output, Y, M), attacks=["loss", our_phi])
    loss = -result.records["loss"].to_numpy()
    np.testing.assert_allclose(result.records["our_phi"], -np.log(np.expm1(loss)), rtol=1e-7)


def test_losses_of_zero_stand_one_step_beyond_the_others():
    result = audit(Predictions(Loss(np.where(M, 0.0, 1.0)), Y, M), attacks=[our_phi])
    assert result.records["our_phi"].max() == pytest.approx(np.log(np.e - 1) + np.log(2))


def forest(n: int, member: np.ndarray, seed: int) -> np.ndarray:
    """Shares of votes, some of them exactly 0 or 1."""
    share = np.random.default_rng(seed).binomial(20, np.where(member, 0.9, 0.7), size=n) / 20
    share[0] = 1.0
    return np.stack([share, 1 - share], axis=1)


def test_certain_answers_of_target_and_shadow_stand_at_one_place():
    member, y = np.arange(200) < 100, np.zeros(200, dtype=int)
    target, shadow = (Predictions(forest(200, member, seed), y, member) for seed in (0, 1))
    seen = []

    def keeping(phi):
        seen.append(np.abs(phi).max())
        return phi

    audit(target, adversary=Shadow(shadow), attacks=["loss", keeping])
    assert np.unique(seen).tolist() == pytest.approx([np.log(19) + np.log(2)])


def test_phi_is_the_same_number_whoever_reads_it():
    member, y = np.arange(200) < 100, np.zeros(200, dtype=int)
    is_in = np.random.default_rng(5).random((8, 200)) < 0.5
    models = np.stack([forest(200, row, seed) for seed, row in enumerate(is_in, 10)])
    models[3, 1] = [0.999, 0.001]  # the largest that is not certain

    def alone(phi):
        return phi

    def beside(phi, shadow_phi, is_in):
        return phi

    target, given = Predictions(forest(200, member, 0), y, member), References(Probabilities, models, is_in)
    found = audit(target, adversary=given, attacks=["lira_online", alone, beside]).records
    assert found["beside"].max() == pytest.approx(np.log(999) + np.log(2))
    np.testing.assert_array_equal(found["alone"], found["beside"])


def test_an_attack_whose_signals_are_not_there_is_listed_with_its_need():
    result = audit(Predictions(PredictedLabels(Z.argmax(axis=1)), Y, M), attacks=["all", our_loss, our_entropy])
    needs = {left.attack: left.needs for left in result.not_run}
    assert needs["our_loss"] == "loss, phi, probabilities or logits"
    assert needs["our_entropy"] == "probabilities or logits of every class"
    assert set(result.results["access"]) == {"label"}


def test_an_attack_value_says_more_and_decides_the_access():
    def score(gradient_norms):
        return -gradient_norms

    own = Attack(name="steepness", score=score, definition="-norm", source="Me 2026")
    seen = Predictions((Logits(Z), GradientNorms(np.abs(Z[:, 0]))), Y, M)
    result = audit(seen, attacks=["correctness", own])
    assert result.adversary.access == "gradients"
    assert result.threat_models[-1].source == "Me 2026"
    assert dict(zip(result.results["attack"], result.results["access"], strict=True))["correctness"] == "label"


def test_it_is_played_with_shadow_models_and_its_thresholds_are_from_there(tmp_path, monkeypatch):
    monkeypatch.setattr(planning, "_measured", lambda *args: [Measured(Strategy(), 0.01)])
    rng = np.random.default_rng(0)
    members, nonmembers = (Records(rng.normal(size=(40, 4)), rng.integers(0, 2, 40)) for _ in range(2))

    model = bayes(members.inputs, members.labels, seed=0)
    training = ShadowTraining(FunctionRecipe(bayes), n_models=4, bank=tmp_path)
    chosen: list[Any] = ["calibration_loss", our_calibration, our_loss]
    result = audit(model, members=members, nonmembers=nonmembers, adversary=training, attacks=chosen)
    assert [model.attack for model in result.threat_models] == ["calibration_loss", "our_calibration", "our_loss"]
    pd.testing.assert_frame_equal(numbers(result, "our_calibration"), numbers(result, "calibration_loss"), rtol=1e-9)
    assert set(rows(result, attack="our_loss")["threshold"]) > {"shadow_global", "shadow_per_class"}
    assert "left out on request and attackers with more queries" in result.adversary.sentence
    alone = audit(model, members=members, nonmembers=nonmembers, adversary=training, attacks=[our_calibration])
    assert list(alone.records.columns[-2:]) == ["our_calibration", "privacy_score"]


# ----------------------------------------------------------------------------------- some of ours


@pytest.mark.parametrize("chosen", [["loss"], ["entropy", "correctness"], ["modified_entropy"], [our_loss]])
def test_a_selection_is_played_and_said(chosen, everything):
    names = [name if isinstance(name, str) else name.__name__ for name in chosen]
    result = audit(target(), attacks=chosen)
    assert set(result.results["attack"]) - {"worst", "privacy_risk_score"} == set(names)
    for name in names:
        pd.testing.assert_frame_equal(numbers(result, name), numbers(everything, name))
    needs = {left.attack: left.needs for left in result.not_run}
    assert {n for n, need in needs.items() if "left out on request" in need} - {"privacy_risk_score"} == {
        a.name for a in CATALOGUE
    } - set(names)
    assert (result.risk is None) == ("modified_entropy" not in names)
    assert ("privacy_risk_score" in needs) == ("modified_entropy" not in names)
    assert all(name in result.provenance.definitions["attacks"] for name in names)
    assert "attacks that were left out on request" in result.finding.sentence


def test_all_is_the_default_and_says_nothing_of_requests(everything):
    result = audit(target())
    assert result.provenance.attacks == {"all": ""}
    assert result.provenance.definitions["attacks"] == (
        "all of ours that could be played, but for those that are played by name alone"
    )
    assert not [left for left in everything.not_run + result.not_run if "request" in left.needs]
    assert "request" not in result.finding.sentence + result.adversary.sentence


def test_nothing_that_can_be_played_is_refused_with_what_it_needs():
    with pytest.raises(InputError, match="entropy needs probabilities or logits of every class"):
        audit(Predictions(Loss(np.ones(N)), Y, M), attacks=["entropy"])
    with pytest.raises(InputError, match="Expected shadow models for lira_online, our_calibration, found no training"):
        audit(target(), attacks=["lira_online", our_calibration])


# -------------------------------------------------------------------------------------- what is asked


def test_names_and_functions_are_found_in_the_order_of_the_tables(tmp_path):
    (tmp_path / "lab_of_mine.py").write_text("def score(losses):\n    return -losses\n\nclass Of:\n    count = 3\n")
    entropy = next(attack for attack in CATALOGUE if attack.name == "entropy")
    chosen = select([our_loss, "lab_of_mine:score", "loss", "correctness", entropy], tmp_path)
    assert [a.name for a in chosen.attacks] == ["correctness", "entropy", "loss", "our_loss", "score"]
    assert chosen.own == ("our_loss", "score")
    assert list(chosen.asked)[1] == "lab_of_mine:score"
    assert [name for name, digest in chosen.asked.items() if not digest] == ["loss", "correctness", "entropy"]
    with pytest.raises(InputError, match=r"function from signals to scores|found int"):
        select(["lab_of_mine:Of.count"], tmp_path)
    assert [a.name for a in select(["all", "all", "loss"]).attacks] == OURS
    assert select([our_entropy, our_entropy]).own == ("our_entropy",)


def negated(function):
    @functools.wraps(function)
    def score(losses):
        return -function(losses)

    return score


class Powered:
    """A power of the loss."""

    def __init__(self, power: float) -> None:
        self.power = power

    def __call__(self, losses):
        return -(losses**self.power)


def test_objects_and_bound_options_are_told_apart_by_what_they_hold():
    places = [Powered(2.0), Powered(3.0), functools.partial(our_entropy, floor=1e-9), our_entropy, negated(our_loss)]
    found = [dict(select([f]).asked) for f in places]
    assert [list(asked) for asked in found] == [
        [f"{__name__}:{name}"] for name in ("Powered", "Powered", "our_entropy", "our_entropy", "our_loss")
    ]
    digests = [next(iter(asked.values())) for asked in found]
    assert len(set(digests)) == 5
    assert dict(select([Powered(2.0)]).asked) == found[0]


LEARNER = next(attack for attack in CATALOGUE if attack.name == "attack_p")


def loss(losses):
    return losses


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ([], "Expected a list of attacks"),
        ("loss", "Expected a list of attacks, found 'loss'"),
        (["entrop"], "found entrop; you may mean entropy"),
        (["everything"], "there are all, confidence, correctness"),
        ([loss], "another name than loss, which is one of ours"),
        (["no_such_module_at_all:score"], "Expected a module no_such_module_at_all"),
        ([our_loss, lambda losses: losses], "write a function with def"),
        ([our_loss, replace(CATALOGUE[1], name="our_loss")], "two named our_loss"),
        ([our_loss, negated(our_loss)], "two named our_loss"),
        ([replace(CATALOGUE[1], name="a b")], "another name than a b"),
        ([replace(LEARNER, name="x")], "found population_losses"),
    ],
)
def test_what_cannot_be_chosen_is_refused(chosen, said):
    with pytest.raises(InputError, match=said):
        audit(target(), attacks=chosen)


def test_a_column_may_not_have_the_name_of_an_attack():
    with pytest.raises(InputError, match="found our_loss, which the results use"):
        audit(target(groups={"our_loss": np.arange(N) % 2}), attacks=[our_loss])
    with pytest.raises(InputError, match="found entropy"):
        audit(target(groups={"entropy": np.arange(N) % 2}), attacks=[our_loss])


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        (failing, "the attack failing, found that it fails with KeyError: 'alas'"),
        (not_finite, "not_finite.* 200 of 400"),
    ],
)
def test_an_attack_that_fails_is_named_and_nothing_is_written(attack, said, tmp_path):
    with pytest.raises(InputError, match=said):
        audit(target(), attacks=["all", attack], run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_attack_that_writes_to_what_others_read_is_stopped():
    def sorting(losses):
        losses.sort()
        return losses

    with pytest.raises(InputError, match=r"sorting.*read-only"):
        audit(target(), attacks=[sorting, our_loss])


def test_a_policy_may_name_it():
    policy = parse_policy("our_loss2:auc.upper > 0.6", ["our_loss2"])
    assert isinstance(policy, Limit)
    assert policy.attack == "our_loss2"
    with pytest.raises(InputError, match="found our_loss2"):
        parse_policy("our_loss2:auc.upper > 0.6")


# ------------------------------------------------------------------------------------------ the run


def test_the_run_names_its_sources_and_what_was_asked(tmp_path):
    audit(target(), attacks=["loss", "entropy", our_loss], run=tmp_path / "run")
    assert (tmp_path / "run" / "attacks.bib").read_text() == bibtex("entropy", "loss") + "% our_loss: custom\n"
    use = tomllib.loads((tmp_path / "run" / "audit.toml").read_text())["attacks"]["use"]
    assert use == ["loss", "entropy", f"{__name__}:our_loss"]
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())["attacks"]
    assert list(manifest) == use
    assert manifest["loss"] == "ours"
    assert re.fullmatch("[0-9a-f]{64}", manifest[use[2]])
    page, report = ((tmp_path / "run" / name).read_text() for name in ("report.html", "report.json"))
    assert "Our loss" in page
    assert "The loss again." in page
    assert "our_loss" in report
    assert __name__ not in page + report  # a place may be a path


def same_name(power: float):
    def powered(losses):
        return -(losses**power)

    return powered


def test_another_attack_of_the_same_name_is_another_audit(tmp_path):
    audit(target(), attacks=["loss", same_name(2.0)], run=tmp_path / "run")
    audit(target(), attacks=["loss", same_name(2.0)], run=tmp_path / "run")
    others: list[list[Any]] = [["loss", same_name(3.0)], ["all", same_name(2.0)], ["loss"]]
    for other in others:
        with pytest.raises(RunFolderError, match="a run of the same attacks"):
            audit(target(), attacks=other, run=tmp_path / "run")


def test_an_audit_file_says_which(tmp_path):
    (tmp_path / "of_a_lab.py").write_text("def score(losses):\n    return -losses\n")
    said = {"target": {"model": "m:m"}, "data": {"members": "a.csv", "nonmembers": "b.csv"}}
    file = audit_file_of(said | {"attacks": {"use": ["all", "of_a_lab:score"]}}, tmp_path, "audit.toml")
    assert file.selection().own == ("score",)
    assert file.as_tables(tmp_path / "run", [])["attacks"] == {"use": ["all", "of_a_lab:score"]}
    assert [a.name for a in audit_file_of(said, tmp_path, "audit.toml").selection().attacks] == OURS
    for wrong, place in (({"use": "all"}, "a list as attacks.use"), ({"play": []}, "no entry attacks.play")):
        with pytest.raises(InputError, match=place):
            audit_file_of(said | {"attacks": wrong}, tmp_path, "audit.toml")


def test_subjects_and_published_arithmetic_treat_it_alike():
    chosen: list[Any] = ["loss", our_loss]
    result = audit(target(subjects=np.arange(N) // 2), attacks=chosen, options=Options(arithmetic=Arithmetic.PUBLISHED))
    pd.testing.assert_frame_equal(numbers(result, "our_loss"), numbers(result, "loss"), rtol=1e-9)
