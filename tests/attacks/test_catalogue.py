"""Laws that every attack keeps: it ranks members first, does not depend on order, and knows nothing of membership."""

import inspect
import shutil
import subprocess
import sys
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_expit
from tests.attacks.observed import leaky_logits, referred, score

from vestige import attacks
from vestige.attacks import CATALOGUE
from vestige.core.probabilities import as_published, from_logits, from_probabilities, softmax
from vestige.core.signal import SIGNALS
from vestige.evaluation.roc import roc
from vestige.evaluation.thresholds import balanced_accuracy_threshold

OF_ANSWERS = {"labels", "predicted", "probabilities", "losses", "p_true", "gradient_norms"}
ON_ANSWERS = [attack for attack in CATALOGUE if set(attack.reads) <= OF_ANSWERS]
WITH_REFERENCES = [attack for attack in CATALOGUE if attack.needs_references]
EVERY = pytest.mark.parametrize("attack", ON_ANSWERS, ids=lambda a: a.name)
EVERY_WITH_REFERENCES = pytest.mark.parametrize("attack", WITH_REFERENCES, ids=lambda a: a.name)
TABLES = pytest.mark.parametrize(
    "table", [from_logits, lambda z: from_probabilities(softmax(z)), lambda z: as_published(softmax(z))]
)


def test_the_names_are_those_of_the_issues():
    assert [a.name for a in CATALOGUE] == [
        "confidence", "correctness", "entropy", "gradient_norm", "loss", "max_confidence", "modified_entropy",
        "attack_r", "base_score_online", "base_score_offline", "calibration_loss", "calibration_confidence",
        "calibration_gradient_norm", "empirical_bayes_online", "empirical_bayes_offline", "imitator_ratio",
        "learnt_ratio_with_imitators", "learnt_ratio", "learnt_ratio_offline", "lira_online", "lira_offline",
        "lira_offline_two_sided", "lira_in_only", "rmia_online", "rmia_offline",
        "rotations", "translations", "random_augmentations",
        "boundary_distance", "settled_boundary_distance", "white_box_distance", "calibrated_boundary_distance",
        "combined_distance", "label_only_likelihood_ratio", "label_only_learnt_ratio_with_imitators",
        "label_only_learnt_ratio", "noise_robustness",
        "attack_p", "forest_memguard", "nn_shokri", "nn_nasr", "nn_nasr_logits", "nn_memguard", "nn_memguard_rounded",
        "nn_augmentation", "nn_combined_distance", "nn_memguard_adversarial", "quantile_regression_gaussian",
        "quantile_regression_at_fpr", "white_box_gradient",
    ]  # fmt: skip
    assert [a.name for a in WITH_REFERENCES] == [a.name for a in CATALOGUE[7:25]]
    for entry in CATALOGUE:
        assert entry.score.__name__ == entry.name
        assert getattr(attacks, entry.name) is entry.score
        assert entry.score.attack is entry
        assert all(reads in SIGNALS or reads.removeprefix("known_") in SIGNALS for reads in entry.reads)


def test_a_file_in_the_folder_is_in_the_catalogue_without_another_edit(tmp_path):
    folder = tmp_path / "attacks"
    shutil.copytree(Path(attacks.__file__).parent, folder)
    text = (folder / "loss.py").read_text().replace("def loss(", "def another_loss(")
    (folder / "another_loss.py").write_text(text)
    code = f"import vestige; vestige.__path__.insert(0, {str(tmp_path)!r})\n"
    code += "import vestige.attacks as a; print([e.name for e in a.CATALOGUE], a.bibtex('another_loss')[:5])"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "'another_loss'" in printed
    assert "@inpr" in printed


@EVERY
def test_an_attack_is_handed_what_it_says_it_reads_and_never_membership(attack):
    assert set(inspect.signature(attack.score).parameters) - set(attack.defaults) == set(attack.reads)
    expected = {"label"} if {"labels", "losses", "p_true", "gradient_norms"} & set(attack.reads) else set()
    assert set(attack.knowledge) == expected | ({"model"} if "gradient_norms" in attack.reads else set())
    assert set(attack.knowledge) <= set(attacks.KNOWLEDGE)


@EVERY
@TABLES
def test_scores_are_finite_float64_one_per_record(attack, table):
    logits, labels, _ = leaky_logits(40, 30.0, np.random.default_rng(0))
    scores = score(attack, table(logits.astype(np.float32)), labels)
    assert scores.dtype == np.float64
    assert scores.shape == (40,)
    assert np.isfinite(scores).all()


@EVERY
@TABLES
def test_a_planted_leak_points_at_the_members(attack, table):
    logits, labels, member = leaky_logits(4000, 1.0, np.random.default_rng(1))
    scores = score(attack, table(logits), labels)
    assert roc(scores[member], scores[~member]).auc > 0.55


@EVERY
def test_g12_without_a_leak_every_attack_is_at_chance(attack):
    rng = np.random.default_rng(2)
    n, accuracies = 1000, []
    for _ in range(40):
        logits, labels, member = leaky_logits(2 * n, 0.0, rng)
        scores = score(attack, from_logits(logits), labels)
        half = np.arange(2 * n) < n
        threshold = balanced_accuracy_threshold(scores[half & member], scores[half & ~member])
        called = scores[~half] >= threshold
        accuracies.append((called[member[~half]].mean() + 1 - called[~member[~half]].mean()) / 2)
    mean = np.mean(accuracies)
    assert abs(mean - 0.5) < 3 * np.std(accuracies) / sqrt(len(accuracies))
    assert abs(mean - 0.5) < 3 * 0.5 / sqrt(n * len(accuracies))


@EVERY
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([0.1, 2.0, 30.0, 500.0]), n=st.integers(1, 30))
def test_permuting_records_permutes_scores(attack, seed, scale, n):
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(scale=scale, size=(n, 4)), rng.integers(4, size=n)
    order = rng.permutation(n)
    np.testing.assert_array_equal(
        score(attack, from_logits(logits[order]), labels[order]), score(attack, from_logits(logits), labels)[order]
    )


@EVERY
def test_records_are_scored_one_by_one(attack):
    rng = np.random.default_rng(3)
    logits, labels = rng.normal(scale=8, size=(25, 7)), rng.integers(7, size=25)
    together = score(attack, from_logits(logits), labels)
    apart = [score(attack, from_logits(logits[i : i + 1]), labels[i : i + 1])[0] for i in range(25)]
    np.testing.assert_array_equal(together, apart)


@EVERY
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), shift=st.floats(-1e3, 1e3))
def test_shifting_the_logits_of_a_row_changes_nothing(attack, seed, shift):
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(scale=3, size=(10, 4)), rng.integers(4, size=10)
    shifted = logits + shift * rng.normal(size=(10, 1))
    np.testing.assert_allclose(
        score(attack, from_logits(shifted), labels), score(attack, from_logits(logits), labels), rtol=1e-9, atol=1e-12
    )


@EVERY
def test_renaming_the_classes_changes_nothing(attack):
    rng = np.random.default_rng(4)
    logits, labels = rng.normal(scale=3, size=(50, 6)), rng.integers(6, size=50)
    order = rng.permutation(6)
    np.testing.assert_allclose(
        score(attack, from_logits(logits[:, order]), np.argsort(order)[labels]),
        score(attack, from_logits(logits), labels),
        rtol=1e-12,
    )


@EVERY
def test_float32_logits_are_worked_on_in_float64(attack):
    rng = np.random.default_rng(5)
    logits, labels = rng.normal(scale=12, size=(200, 5)).astype(np.float32), rng.integers(5, size=200)
    narrow = score(attack, from_logits(logits), labels)
    np.testing.assert_array_equal(narrow, score(attack, from_logits(logits.astype(np.float64)), labels))


@EVERY
def test_logits_and_their_probabilities_agree_where_nothing_saturates(attack):
    rng = np.random.default_rng(6)
    logits, labels = rng.normal(size=(300, 5)), rng.integers(5, size=300)
    np.testing.assert_allclose(
        score(attack, from_probabilities(softmax(logits)), labels),
        score(attack, from_logits(logits), labels),
        rtol=1e-12,
    )


# --------------------------------------------------------------------------- with reference models


def score_referred(attack, phi, shadow_phi, is_in):
    """The records are the population too, as in an audit without others."""
    signals = {"phi": phi, "shadow_phi": shadow_phi, "is_in": is_in}
    signals |= {f"population_{name}": values for name, values in signals.items()}
    signals |= {"pool_phi": shadow_phi[:, :, None], "pool_is_in": is_in}
    signals |= {"statistic": phi, "shadow_statistic": shadow_phi}
    signals |= {"query_phi": phi[:, None], "shadow_query_phi": shadow_phi[:, :, None]}
    signals |= {"gradient_norms": np.logaddexp(0, -phi), "shadow_gradient_norms": np.logaddexp(0, -shadow_phi)}
    # As if the true class were the likeliest for all: what is said of other classes has no part here.
    signals |= {"max_log_p": log_expit(phi), "shadow_max_log_p": log_expit(shadow_phi)}
    signals |= imitated(shadow_phi, is_in) if "imitator_phi" in attack.reads else {}
    return attack.score(*(signals[name] for name in attack.reads))


def imitated(shadow_phi, is_in):
    """As if imitators answered what models without and with the record do, a little to both sides of it."""
    of_sides = [np.where(side, shadow_phi, 0).sum(axis=0) / np.maximum(side.sum(axis=0), 1) for side in (~is_in, is_in)]
    copies = np.stack([mean + by for mean in of_sides for by in (-0.5, 0.5)])
    by_sum = np.argsort(shadow_phi.sum(axis=1))  # whatever the order of models and records
    players = [by_sum[0], next(m for m in by_sum[1:] if (is_in[m] == is_in[by_sum[0]]).any())]
    sides = np.zeros(copies.shape, dtype=bool)
    sides[2:] = True
    return {
        "imitator_phi": copies,
        "imitator_is_in": sides,
        "shadow_imitator_phi": np.stack([copies, copies]),
        "imitated": np.array(players),
    }


@EVERY_WITH_REFERENCES
def test_what_is_known_of_reference_models_is_handed_and_never_the_target_s_membership(attack):
    required = [p for p in inspect.signature(attack.score).parameters.values() if p.kind is not p.KEYWORD_ONLY]
    assert tuple(p.name for p in required) == attack.reads
    if attack.name == "calibration_gradient_norm":
        assert attack.reads == ("gradient_norms", "shadow_gradient_norms", "is_in")
        assert (attack.access, attack.knowledge) == ("gradients", ("train", "data", "label", "model"))
        return
    if attack.name == "calibration_confidence":
        assert attack.reads == ("max_log_p", "shadow_max_log_p", "is_in")
        assert (attack.access, attack.knowledge) == ("confidence", ("train", "data"))
        return
    assert attack.reads[:2] in (
        ("phi", "shadow_phi"),
        ("query_phi", "shadow_query_phi"),
        ("statistic", "shadow_statistic"),
    )
    others = {"is_in", "population_phi", "population_shadow_phi", "population_is_in", "pool_phi", "pool_is_in"}
    imitators = {"imitator_phi", "imitator_is_in", "shadow_imitator_phi", "imitated"}
    assert set(attack.reads[2:]) <= others | imitators
    if imitators & set(attack.reads):
        assert (attack.access, attack.knowledge) == ("confidence", ("train", "data", "label"))
        return
    assert (attack.access, attack.knowledge) == ("loss", ("train", "data", "label"))
    assert "shadow models" in attack.needs


ANY_REFERRED = given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([1e-6, 1.0, 100.0]), n=st.integers(1, 30))


@pytest.mark.parametrize("attack", [a for a in WITH_REFERENCES if not a.fit], ids=lambda a: a.name)
@settings(max_examples=40, deadline=None)
@ANY_REFERRED
def test_permuting_records_or_models_permutes_scores_or_nothing(attack, seed, scale, n):
    check_permuted(attack, seed, scale, n)


@pytest.mark.parametrize("attack", [a for a in WITH_REFERENCES if a.fit], ids=lambda a: a.name)
@settings(max_examples=8, deadline=None)  # each fits three times; 40 take half a minute
@ANY_REFERRED
def test_permuting_records_or_models_permutes_fitted_scores_or_nothing(attack, seed, scale, n):
    check_permuted(attack, seed, scale, n)


@pytest.mark.slow
@pytest.mark.parametrize("attack", [a for a in WITH_REFERENCES if a.fit], ids=lambda a: a.name)
@settings(max_examples=40, deadline=None)
@ANY_REFERRED
def test_permuting_at_length(attack, seed, scale, n):
    check_permuted(attack, seed, scale, n)


def check_permuted(attack, seed, scale, n):
    n += 12 if attack.fit else 0  # pairs are read off training sets, which of few records coincide
    phi, shadow_phi, is_in, _ = referred(n, 1.0, np.random.default_rng(seed), scale=scale)
    records, models = np.random.default_rng(seed).permutation(n), np.random.default_rng(seed).permutation(len(is_in))
    scores = score_referred(attack, phi, shadow_phi, is_in)
    assert scores.dtype == np.float64
    assert scores.shape == (n,)
    assert np.isfinite(scores).all()
    # What one fit feeds to another, and features that are nearly the same at the smallest scale.
    near = 1e-6 if {"imitated", "pool_phi"} & set(attack.reads) else 1e-9
    moved = score_referred(attack, phi[records], shadow_phi[:, records], is_in[:, records])
    np.testing.assert_allclose(moved, scores[records], rtol=near, atol=near)
    moved = score_referred(attack, phi, shadow_phi[models], is_in[models])
    np.testing.assert_allclose(moved, scores, rtol=near, atol=near)


@EVERY_WITH_REFERENCES
def test_a_planted_leak_points_at_the_members_whatever_the_difficulty_of_records(attack):
    phi, shadow_phi, is_in, member = referred(4000, 1.0, np.random.default_rng(1))
    scores = score_referred(attack, phi, shadow_phi, is_in)
    # Two-sided ones take a phi far too low for one far too high; a power of 0.33 leaves much of the difficulty in.
    weaker = ("lira_offline_two_sided", "lira_in_only", "base_score_offline", "rmia_offline")
    assert roc(scores[member], scores[~member]).auc > (0.58 if attack.name in weaker else 0.65)
    assert roc(phi[member], phi[~member]).auc < 0.6  # their phi alone tells little


@pytest.mark.parametrize(
    ("attack", "n_draws"),
    [
        *[pytest.param(a, 10 if a.fit else 40, id=a.name) for a in WITH_REFERENCES],
        *[pytest.param(a, 40, id=f"{a.name}, long", marks=pytest.mark.slow) for a in WITH_REFERENCES if a.fit],
    ],
)
def test_g12_without_a_leak_attacks_with_references_are_at_chance(attack, n_draws):
    """Draws of what is fitted take the longest: 10 of them find an AUC that is off by 0.02, 40 by 0.01."""
    rng = np.random.default_rng(2)
    aucs = []
    for _ in range(n_draws):
        phi, shadow_phi, is_in, member = referred(1000, 0.0, rng)
        scores = score_referred(attack, phi, shadow_phi, is_in)
        aucs.append(roc(scores[member], scores[~member]).auc)
    assert abs(np.mean(aucs) - 0.5) < 3 * sqrt(1001 / (12 * 500 * 500) / len(aucs))


@pytest.mark.parametrize(
    "attack", [a for a in WITH_REFERENCES if a.name.startswith("lira") or a.name == "attack_r"], ids=lambda a: a.name
)
def test_another_centre_of_phi_changes_nothing(attack):
    """A record's difficulty moves its phi under every model."""
    phi, shadow_phi, is_in, _ = referred(50, 1.0, np.random.default_rng(3))
    shift = 10 * np.random.default_rng(4).normal(size=50)
    np.testing.assert_allclose(
        score_referred(attack, phi + shift, shadow_phi + shift, is_in),
        score_referred(attack, phi, shadow_phi, is_in),
        rtol=1e-9,
        atol=1e-9,
    )
