"""Calibration of any score: against the three that have attacks of their own, and against a plain loop."""

import numpy as np
import pytest

from vestige.attacks import calibrated, named
from vestige.auditing.audit import audit
from vestige.auditing.selection import select
from vestige.core.errors import InputError
from vestige.core.outputs import GradientNorms, Logits
from vestige.core.predictions import Predictions
from vestige.core.probabilities import from_logits
from vestige.core.references import References

N, K, N_MODELS = 60, 4, 3


def given(seed=0, n_queries=1):
    rng = np.random.default_rng(seed)
    labels, member = rng.integers(K, size=N), np.arange(N) < N // 2
    logits = rng.normal(size=(N, K))
    logits[np.arange(N), labels] += 1 + member
    theirs = rng.normal(size=(N_MODELS, N, *((n_queries,) if n_queries > 1 else ()), K))
    norms, of_models = rng.random(N), rng.random((N_MODELS, N))
    views = None
    if n_queries > 1:
        views = rng.normal(size=(N, n_queries, K))
        views[:, 0] = logits
    never = np.zeros((N_MODELS, N), dtype=bool)
    references = References(Logits, theirs, never, gradient_norms=of_models, ids=np.arange(N), target=views)
    return Predictions([Logits(logits), GradientNorms(norms)], labels, member, ids=np.arange(N)), references


def scores_of(attacks, target, references):
    return audit(target, adversary=references, attacks=attacks).records


def margin(probabilities):
    """Largest probability less the second largest."""
    top = np.sort(probabilities, axis=1)
    return top[:, -1] - top[:, -2]


def test_it_is_the_calibration_that_has_an_attack_of_its_own():
    target, references = given()
    pairs = {
        "calibration_loss": "calibrated_loss",
        "calibration_confidence": "calibrated_max_confidence",
        "calibration_gradient_norm": "calibrated_gradient_norm",
    }
    found = scores_of([*pairs, *pairs.values()], target, references)
    for own, general in pairs.items():
        np.testing.assert_allclose(found[general], found[own], rtol=1e-9, atol=1e-12)


def test_a_custom_score_by_a_plain_loop_and_in_any_order():
    target, references = given()
    found = scores_of(["loss", calibrated(margin), "calibrated_modified_entropy"], target, references)
    own = margin(from_logits(target.outputs[0].whole()).p)
    theirs = [margin(from_logits(model).p) for model in references.models()]
    np.testing.assert_allclose(found["calibrated_margin"], own - sum(theirs) / N_MODELS, atol=1e-12)
    order = np.random.default_rng(1).permutation(N)
    outputs = [type(one)(one.whole()[order]) for one in target.outputs]
    turned = Predictions(outputs, target.labels[order], target.member[order], ids=order)
    again = scores_of(["loss", "calibrated_modified_entropy"], turned, references)
    np.testing.assert_array_equal(
        again["calibrated_modified_entropy"], found["calibrated_modified_entropy"].to_numpy()[order]
    )


def test_of_several_queries_the_mean_counts():
    target, references = given(n_queries=3)
    found = scores_of(["loss", "calibrated_modified_entropy"], target, references)
    entropy = named("modified_entropy").score

    def of(views):
        return np.mean([entropy(from_logits(views[:, i]), target.labels) for i in range(3)], axis=0)

    expected = of(references.target) - np.mean([of(model) for model in references.models()], axis=0)
    np.testing.assert_allclose(found["calibrated_modified_entropy"], expected, atol=1e-12)


def test_a_reference_that_did_not_answer_leaves_it_out_by_its_name():
    target, references = given()
    answers = (
        references.answers.whole() if hasattr(references.answers, "whole") else np.stack(list(references.models()))
    )
    answers[1, 3] = np.nan
    holed = References(Logits, answers, references.member, ids=references.ids, gradient_norms=references.gradient_norms)
    found = audit(target, adversary=holed, attacks=["loss", "calibrated_modified_entropy", "calibration_gradient_norm"])
    assert "calibrated_modified_entropy" in {left.attack for left in found.not_run}


def test_what_is_asked_for_is_told_apart():
    assert select(["calibrated_modified_entropy"]).attacks[0].calibrates is named("modified_entropy")
    assert select([calibrated(margin)]).asked["calibrated_margin"]
    assert calibrated("gradient_norm").access == "gradients"


@pytest.mark.parametrize("name", ["lira_online", "boundary_distance", "nn_shokri"])
def test_what_is_no_score_of_one_answer_is_refused(name):
    with pytest.raises(InputError, match="to calibrate"):
        calibrated(name)
