"""Quantile regression: what each record's model learnt from, closed forms, calibration, and the null."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from vestige.attacks.quantile_regression import _folds, quantile_regression_at_fpr, quantile_regression_gaussian
from vestige.core.errors import InputError
from vestige.evaluation.roc import roc

BOTH = pytest.mark.parametrize("attack", [quantile_regression_gaussian, quantile_regression_at_fpr])


def drawn(n, seed, *, leak=0.0):
    """Signals whose centre and spread features tell; half are members, the others are known nonmembers."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 2))
    member = rng.permutation(n) < n // 2
    noise = rng.normal(size=n) * np.where(features[:, 1] > 0, 3.0, 1.0)
    return 6 * np.sign(features[:, 0]) + noise + leak * member, features, ~member


# ---------------------------------------------------------------------------------- who learns


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 60), n_folds=st.integers(2, 7))
def test_every_record_is_scored_once_by_known_nonmembers_of_all_other_folds(seed, n, n_folds):
    rng = np.random.default_rng(seed)
    known = rng.random(n) < 0.6
    folds = list(_folds(rng.normal(size=(n, 2)), rng.normal(size=n), known, np.arange(n), n_folds, seed))
    assert sorted(np.concatenate([scored for _, scored in folds])) == list(range(n))
    for learnt, scored in folds:
        assert set(learnt) == set(np.flatnonzero(known)) - set(scored)
        assert known.sum() // n_folds <= known[scored].sum() <= -(-known.sum() // n_folds)


def test_the_records_of_a_person_are_dealt_to_one_fold():
    """Else known nonmembers would be scored by what learnt from their own other records, and members never would."""
    rng = np.random.default_rng(1)
    subjects = rng.permutation(np.arange(100) % 30)
    known = subjects % 2 == 0
    scored_in = np.empty(100, dtype=int)
    for number, (learnt, scored) in enumerate(_folds(rng.normal(size=(100, 2)), np.zeros(100), known, subjects, 3, 0)):
        assert not set(subjects[learnt]) & set(subjects[scored])
        scored_in[scored] = number
    assert all(np.unique(scored_in[subjects == s]).size == 1 for s in np.unique(subjects))
    signal, features, known = drawn(400, 2)
    with pytest.raises(InputError, match="at least 20 known nonmembers for 5 folds, found 10"):
        quantile_regression_gaussian(signal, features, known, subjects=np.repeat(np.arange(10), 40))


@BOTH
def test_no_record_has_a_part_in_the_model_that_scores_it(attack):
    """A known nonmember's own signal moves its score in a straight line, and those of other folds by their models."""
    signal, features, known = drawn(400, 0)
    record = int(np.flatnonzero(known)[3])
    scores = []
    for added in (0.0, 50.0, 100.0):
        moved = signal.copy()
        moved[record] += added
        scores.append(attack(moved, features, known, n_folds=2))
    first, second = scores[1] - scores[0], scores[2] - scores[1]
    assert first[record] > 1
    assert second[record] == pytest.approx(first[record], rel=1e-9)
    assert np.count_nonzero(np.delete(first, record)) > 100


@BOTH
def test_records_of_which_nothing_is_known_teach_nothing(attack):
    signal, features, known = drawn(400, 1)
    record = int(np.flatnonzero(~known)[3])
    moved = signal.copy()
    moved[record] += 50.0
    others = np.arange(400) != record
    np.testing.assert_array_equal(
        attack(moved, features, known, n_folds=2)[others], attack(signal, features, known, n_folds=2)[others]
    )


# --------------------------------------------------------------------------------- closed forms


def twin_gaussian(signal, features, learnt, record, seed):
    """One record by itself, with models of its own."""

    def fitted(loss, x, y):
        model = HistGradientBoostingRegressor(
            loss=loss, max_iter=50, max_leaf_nodes=4, min_samples_leaf=40, early_stopping=False, random_state=seed
        )
        return model.fit(x, y)

    residuals = []
    for part in np.array_split(np.arange(learnt.size), 3):
        others = np.delete(learnt, part)
        mean = fitted("squared_error", features[others], signal[others])
        residuals += [signal[i] - mean.predict(features[[i]])[0] for i in learnt[part]]
    mean = fitted("squared_error", features[learnt], signal[learnt]).predict(features[[record]])[0]
    variance = fitted("gamma", features[learnt], np.square(residuals)).predict(features[[record]])[0]
    return (signal[record] - mean) / sqrt(variance)


def test_scores_equal_those_of_records_one_by_one():
    signal, features, known = drawn(400, 2)
    scores = quantile_regression_gaussian(signal, features, known, n_folds=3, seed=7)
    assert np.ptp(signal - scores) > 1  # features tell something
    with threadpool_limits(1):
        for learnt, scored in _folds(features, signal, known, np.arange(known.size), 3, 7):
            expected = twin_gaussian(signal, features, learnt, scored[5], 7)
            assert scores[scored[5]] == pytest.approx(expected, rel=1e-10)


def test_features_that_tell_nothing_leave_mean_and_spread_of_the_known():
    signal, _, known = drawn(60, 3)
    nothing = np.zeros((60, 1))
    scores = quantile_regression_gaussian(signal, nothing, known, n_folds=3)
    above = quantile_regression_at_fpr(signal, nothing, known, n_folds=3, fpr=0.25)
    for learnt, scored in _folds(nothing, signal, known, np.arange(known.size), 3, 0):
        squares = 0.0
        for part in np.array_split(learnt, 3):
            mean = signal[np.setdiff1d(learnt, part)].mean()
            squares += ((signal[part] - mean) ** 2).sum()
        expected = (signal[scored] - signal[learnt].mean()) / sqrt(squares / learnt.size)
        np.testing.assert_allclose(scores[scored], expected, rtol=0, atol=1e-10)
        quantile = np.unique((signal - above)[scored].round(9))
        assert quantile.size == 1
        assert abs((signal[learnt] > quantile[0]).mean() - 0.25) <= 1 / learnt.size


@pytest.mark.parametrize(("scale", "shift"), [(4.0, 0.0), (0.25, -8.0)])
def test_the_unit_of_the_signal_does_not_matter(scale, shift):
    signal, features, known = drawn(240, 4)
    one, two = (quantile_regression_gaussian(s, features, known, n_folds=2) for s in (signal, scale * signal + shift))
    np.testing.assert_allclose(two, one, rtol=1e-6, atol=1e-6)


def test_signals_that_features_explain_fully_have_a_floor_of_spread():
    features = np.repeat([0.0, 1.0], 50)[:, None]
    scores = quantile_regression_gaussian(np.full(100, 3.0), features, np.ones(100, dtype=bool), min_std=0.5, n_folds=2)
    assert scores == pytest.approx(np.zeros(100), abs=1e-9)
    signal = np.full(100, 3.0)
    known = np.arange(100) != 7
    signal[7] = 5.0
    assert quantile_regression_gaussian(signal, features, known, min_std=0.5, n_folds=2)[7] == pytest.approx(4.0)


# ------------------------------------------------------------------------------------- the use


def test_nonmembers_have_unit_spread_where_their_features_foretell_more_or_less():
    signal, features, known = drawn(2000, 5)
    scores = quantile_regression_gaussian(signal, features, known, n_folds=2)
    for wide in (False, True):
        group = scores[~known & ((features[:, 1] > 0) == wide)]
        assert 0.85 < group.std() < 1.25
        assert abs(group.mean()) < 0.2


@pytest.mark.parametrize("fpr", [0.05, 0.2])
def test_a_positive_score_has_the_false_positive_rate_asked_for(fpr):
    signal, features, known = drawn(2000, 6)
    scores = quantile_regression_at_fpr(signal, features, known, fpr=fpr, n_folds=3)
    for side in (known, ~known):
        assert abs((scores[side] > 0).mean() - fpr) < 0.035


def test_a_planted_leak_points_at_the_members_whatever_the_difficulty_of_records():
    signal, features, known = drawn(1200, 7, leak=1.5)
    scores = quantile_regression_gaussian(signal, features, known, n_folds=3)
    assert roc(scores[~known], scores[known]).auc > roc(signal[~known], signal[known]).auc + 0.03 > 0.6


def test_at_the_false_positive_rate_asked_for_members_are_found_that_their_signals_do_not_tell():
    signal, features, known = drawn(1200, 8, leak=1.5)
    scores = quantile_regression_at_fpr(signal, features, known, fpr=0.1)
    assert roc(scores[~known], scores[known]).auc > 0.55
    called = [((s[~known] > np.quantile(s[known], 0.9)).mean()) for s in (scores, signal)]
    assert called[0] > called[1] + 0.05
    assert (scores[~known] > 0).mean() > (scores[known] > 0).mean() + 0.1


@BOTH
def test_without_a_leak_it_is_at_chance_even_where_all_nonmembers_are_known(attack):
    """A model that learnt from the nonmembers it scores would put them nearer to what it expects."""
    aucs = []
    for seed in range(6):
        signal, features, known = drawn(400, 100 + seed)
        scores = attack(signal, features, known, n_folds=2)
        aucs.append(roc(scores[~known], scores[known]).auc)
    assert abs(np.mean(aucs) - 0.5) < 3 * sqrt(401 / (12 * 200 * 200) / len(aucs))


@BOTH
def test_the_order_of_records_does_not_matter_and_the_seed_does(attack):
    seed = 2**40
    signal, features, known = drawn(200, 8)
    signal[:20], features[:20] = signal[0], 0.0  # rows that differ in nothing, or in being known
    order = np.random.default_rng(9).permutation(200)
    scores = attack(signal, features, known, seed=seed, n_folds=2)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    moved = attack(signal[order], features[order], known[order], seed=seed, n_folds=2)
    apart = np.argsort(order)[20:]
    np.testing.assert_array_equal(moved[apart], scores[20:])
    assert (attack(signal, features, known, seed=seed + 1, n_folds=2) != scores).any()


def test_float32_is_widened():
    signal, features, known = drawn(60, 10)
    signal, features = signal.astype(np.float32), features.astype(np.float32)
    wide = quantile_regression_at_fpr(signal.astype(np.float64), features.astype(np.float64), known)
    np.testing.assert_array_equal(quantile_regression_at_fpr(signal, features, known), wide)


# --------------------------------------------------------------------------------------- errors


@BOTH
def test_what_nothing_can_be_learnt_from_is_refused(attack):
    signal, features, known = drawn(60, 11)
    with pytest.raises(InputError, match="at least 20 known nonmembers for 5 folds, found 19; give more of them"):
        attack(signal, features, np.arange(60) < 19)
    with pytest.raises(InputError, match="Expected at least 2 folds, found 1"):
        attack(signal, features, known, n_folds=1)
    with pytest.raises(InputError, match="Expected at least 1 feature per record, found none"):
        attack(signal, features[:, :0], known)
    with pytest.raises(InputError, match="Expected finite signals, found NaN or infinity"):
        attack(np.full(60, np.inf), features, known)
    with pytest.raises(InputError, match="Expected finite features, found NaN or infinity; fill in what is missing"):
        attack(signal, np.full_like(features, np.nan), known)


@pytest.mark.parametrize("fpr", [0.0, 1.0, -0.1, np.nan])
def test_a_false_positive_rate_lies_between_0_and_1(fpr):
    signal, features, known = drawn(60, 12)
    with pytest.raises(InputError, match="Expected fpr between 0 and 1, found"):
        quantile_regression_at_fpr(signal, features, known, fpr=fpr)
