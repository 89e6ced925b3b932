"""Which attacks run on which kind of answer, and what is said of the others."""

import numpy as np
import pytest
from tests.auditing import twin
from tests.auditing.planted import logits_of, row

from vestige import Predictions, Shadow, audit
from vestige.attacks import CATALOGUE
from vestige.core.errors import InputError
from vestige.core.outputs import Logits, Loss, Phi, PredictedLabels, Probabilities
from vestige.core.result import FindingState

N = 1000
UNASKED = "to be asked for by name: it learns from known members"
NEEDS = {attack.name: UNASKED if attack.learns else attack.needs for attack in CATALOGUE}
BY_MODELS = {a.name for a in CATALOGUE if a.needs_references and a.access != "label" and not a.learns}
ON_ANSWERS = ["correctness", "loss", "confidence", "max_confidence", "entropy", "modified_entropy"]


@pytest.fixture(scope="module")
def answers():
    z, y, m = logits_of(N, 2.0, seed=31)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    loss = -log_p[np.arange(N), y]
    phi = -np.log(np.expm1(loss))
    return z, y, m, {"loss": Loss(loss), "phi": Phi(phi), "predicted": PredictedLabels(z.argmax(axis=1))}


CASES = [
    ("loss", "loss", {"loss", "confidence"}),
    ("phi", "loss", {"loss", "confidence"}),
    ("predicted", "label", {"correctness"}),
]


@pytest.mark.parametrize(("kind", "access", "run"), CASES)
def test_each_kind_of_answer_runs_what_it_allows_and_names_what_the_others_need(answers, kind, access, run):
    z, y, m, outputs = answers
    result = audit(Predictions(outputs[kind], y, m))
    attacks = set(result.results["attack"]) - {"worst"}
    assert attacks == run
    assert set(result.results["access"]) == {access}
    assert result.adversary.access == access
    left_out = {n.attack: n.needs for n in result.not_run}
    assert {name for name in left_out if name in NEEDS} == set(NEEDS) - run
    without = BY_MODELS if access == "label" else set()
    for name in set(NEEDS) - run:
        assert left_out[name] == f"{'access to probabilities, and ' if name in without else ''}{NEEDS[name]}"
    assert "privacy_risk_score" in left_out
    assert result.risk is None
    assert "risk" not in result.records
    assert result.finding.state is FindingState.LEAK_SHOWN
    for name in run:
        expected = twin.auc_by_pairs(twin.scores_of(z, y)[name], m.tolist())
        assert row(result, attack=name, metric="auc", group="all").value == pytest.approx(expected, abs=1e-12)
        assert row(result, attack=name, metric="auc", group="all").lower > 0.5


def test_all_attacks_on_answers_run_on_class_probabilities_and_others_need_shadow_models(answers):
    z, y, m, _ = answers
    result = audit(Predictions(Logits(z), y, m))
    left_out = {left.attack: left.needs for left in result.not_run}
    assert set(left_out) == {attack.name for attack in CATALOGUE} - set(ON_ANSWERS)
    assert left_out["gradient_norm"] == "access to the gradients of a torch module, or their norms"
    assert left_out["lira_online"] == "shadow models trained on random halves of the audited records"
    access = dict(zip(result.results["attack"], result.results["access"], strict=True))
    assert access["correctness"] == "label"
    assert access["loss"] == access["confidence"] == "loss"
    assert access["entropy"] == access["worst"] == "confidence"


def test_loss_and_predicted_labels_together_run_the_attacks_of_both(answers):
    _, y, m, outputs = answers
    result = audit(Predictions((outputs["loss"], outputs["predicted"]), y, m))
    assert set(result.results["attack"]) - {"worst"} == {"correctness", "loss", "confidence"}


def test_a_shadow_that_lacks_an_output_leaves_the_thresholds_out_and_says_so(answers):
    z, y, m, outputs = answers
    result = audit(Predictions(Logits(z), y, m), adversary=Shadow(Predictions(outputs["loss"], y, m)))
    thresholds = result.results[result.results["threshold"].str.startswith("shadow_")]
    assert set(thresholds["attack"]) == {"loss", "confidence"}
    said = " ".join(f"{n.attack} {n.needs}" for n in result.not_run)
    assert "entropy" in said
    assert "shadow" in said
    assert row(result, attack="entropy", metric="auc", group="all").value > 0.5


def test_one_record_on_a_side_has_areas_but_no_halves():
    z, y, _ = logits_of(30, 1.0, seed=32)
    result = audit(Predictions(Logits(z), y, np.arange(30) == 0))
    assert not result.results["threshold"].str.startswith("known_half").any()
    assert any(n.attack == "thresholds" for n in result.not_run)
    assert result.finding.state is not FindingState.NO_LEAK_SHOWN


def test_certain_answers_are_ordinary():
    """Exact zeros and ones, right and wrong."""
    y = np.arange(200) % 2
    p = np.zeros((200, 2))
    p[np.arange(200), np.where(np.arange(200) % 7 == 0, 1 - y, y)] = 1.0
    result = audit(Predictions(p, y, np.arange(200) < 100))
    assert result.records[ON_ANSWERS].notna().all().all()
    assert np.isfinite(result.records[ON_ANSWERS].to_numpy()).all()
    assert row(result, attack="modified_entropy", metric="auc", group="all").value == pytest.approx(0.5, abs=0.02)


def test_logits_as_large_as_can_be_are_ordinary():
    z, y, m = logits_of(200, 1.0, seed=33)
    result = audit(Predictions(Logits(z * 1e4), y, m))
    assert np.isfinite(result.records[ON_ANSWERS].to_numpy()).all()


REFUSED = [
    (lambda z, y, m: Predictions(Logits(np.where(np.arange(60)[:, None] == 7, np.nan, z)), y, m), "NaN in row 8"),
    (lambda z, y, m: Predictions(Logits(np.where(np.arange(60)[:, None] == 7, np.inf, z)), y, m), "infinity in row 8"),
    (lambda z, y, m: Predictions(Loss(-np.arange(60.0)), y, m), "at least 0"),
    (lambda z, y, m: Predictions(Loss(np.full(60, np.nan)), y, m), "NaN in row 1"),
    (lambda z, y, m: Predictions(Logits(np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)), y, m), "probabilities"),
    (lambda z, y, m: Predictions(Probabilities(z), y, m), "logits"),
    (lambda z, y, m: Predictions(Logits(z), y + 1, m), "--set data.label_base=1"),
    (lambda z, y, m: Predictions(Logits(z), y - 1, m), "-1"),
    (lambda z, y, m: Predictions(Logits(z), y + 0.5, m), "regression"),
    (lambda z, y, m: Predictions(Logits(z), np.eye(3)[y], m), "multi-label"),
    (lambda z, y, m: Predictions(Logits(z), np.array(list("abc"))[y], m), "classes"),
    (lambda z, y, m: Predictions(Logits(z), y[:-1], m), "59"),
    (lambda z, y, m: Predictions(Logits(z), y, m[:-1]), "59"),
    (lambda z, y, m: Predictions(Logits(z), y, m, ids=np.arange(60) % 30), "--subject"),
    (lambda z, y, m: Predictions(Logits(z), y, m, ids=np.arange(60) // 2), "--subject"),
    (lambda z, y, m: Predictions(Logits(z), y, np.ones(60, dtype=int)), "nonmember"),
    (lambda z, y, m: Predictions(Logits(z), y, np.zeros(60, dtype=int)), "member"),
    (lambda z, y, m: Predictions(Logits(z), y, m + 1), "0 or 1"),
    (lambda z, y, m: Predictions(Logits(z[:, :1]), y, m), "--positive"),
    (lambda z, y, m: Predictions(np.array([["a", "b"]] * 60), y, m), "numbers"),
    (lambda z, y, m: Predictions(np.array([[0.5, None]] * 60), y, m), "numbers"),
    (lambda z, y, m: Predictions(Logits(z), y, m, classes=("a", "b")), "2 names for 3 columns"),
    (lambda z, y, m: Predictions(Logits(z), y, m, subjects=[None] * 60), "subjects"),
]


@pytest.mark.parametrize(("make", "found"), REFUSED, ids=[found for _, found in REFUSED])
def test_what_cannot_be_audited_is_refused_in_one_line(make, found):
    z, y, m = logits_of(60, 1.0, seed=34)
    with pytest.raises(InputError) as caught:
        audit(make(z, y, m))
    message = str(caught.value)
    assert found in message
    assert message.startswith("Expected ")
    assert "found" in message
    assert "\n" not in message
    assert len(message) < 400


def test_a_threshold_per_class_is_said_to_need_the_label(answers):
    z, y, m, _ = answers
    result = audit(Predictions(Logits(z), y, m))
    known = {threat.attack: threat.knowledge for threat in result.threat_models}
    assert known["entropy"] == ("members",)
    assert "thresholds per class: label too" in result.provenance.definitions["knowledge"]
