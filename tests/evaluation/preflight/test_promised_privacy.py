"""What attacks find against what differential privacy allows: Gaussian scores, whose best test is known."""

import numpy as np
import pytest
from scipy.stats import norm

from vestige.core.result import Validity
from vestige.evaluation.preflight.promised_privacy import LEVEL, RATES, for_people, promised_privacy
from vestige.evaluation.roc import pooled, roc
from vestige.training.dp_sgd import DPSGD

PROMISED = DPSGD(1.0, noise=1.0, delta=0.01).privacy(n_records=10, share=1.0, n_steps=1)


def gaussian(fpr):
    """Neyman & Pearson: the best that one full batch with this noise allows."""
    return float(norm.cdf(norm.ppf(fpr) + 1))


def checked(mean, seed=0, n=1000, allowed=gaussian, n_attacks=1):
    rng = np.random.default_rng(seed)
    curves = {f"attack {k}": roc(rng.normal(mean, size=n), rng.normal(size=n)) for k in range(n_attacks)}
    return promised_privacy(curves, allowed, "epsilon 1")


def test_the_best_attack_that_is_allowed_is_not_flagged_and_a_better_one_is():
    assert [PROMISED.most_tpr(rate) for rate in RATES] == pytest.approx([gaussian(rate) for rate in RATES])
    honest = [checked(1.0, seed, n_attacks=3).validity for seed in range(300)]
    assert honest.count(Validity.LIMITED) <= 300 * LEVEL + 3 * np.sqrt(300 * LEVEL)
    assert {checked(1.6, seed, n_attacks=3).validity for seed in range(20)} == {Validity.LIMITED}


def test_models_counted_together_find_what_one_does_not_and_flag_no_more_honest_ones():
    def together(mean, seed, n_models):
        rng = np.random.default_rng(seed)
        one = [roc(rng.normal(mean, size=200), rng.normal(size=200)) for _ in range(n_models)]
        found = promised_privacy({"attack": pooled(one)}, gaussian, "epsilon 1")
        return found is not None and found.validity is Validity.LIMITED

    assert sum(together(1.0, seed, 8) for seed in range(200)) <= 200 * LEVEL + 3 * np.sqrt(200 * LEVEL)
    assert sum(together(1.45, seed, 8) for seed in range(20)) > sum(together(1.45, seed, 1) for seed in range(20)) + 5


def test_what_is_allowed_of_people_is_that_of_so_many_steps():
    """Gaussian differential privacy of mu for a record is one of k * mu for k of them."""
    for k in (1, 2, 5):
        allowed = for_people(gaussian, k)
        assert [allowed(rate) for rate in RATES] == pytest.approx([norm.cdf(norm.ppf(rate) + k) for rate in RATES])


def test_what_it_says():
    found = checked(3.0)
    assert "The training promises epsilon 1: at " in found.message
    assert "no attack may find more than " in found.message
    assert "attack 0, which comes the closest, finds at least " in found.message
    assert found.message.endswith("the guarantee does not hold, or this is no test of it.")
    assert "noise, clip" in found.remedy
    honest = checked(0.0)
    assert (honest.validity, honest.remedy) == (Validity.VALID, "")
    assert "guarantee" not in honest.message


def test_the_attack_that_goes_too_far_is_named_among_others():
    rng = np.random.default_rng(0)
    curves = {f"attack {k}": roc(rng.normal(2.0 * (k == 2), size=900), rng.normal(size=900)) for k in range(4)}
    found = promised_privacy(curves, gaussian, "epsilon 1")
    assert found is not None
    assert "attack 2, which comes the closest" in found.message


def test_without_a_promise_or_nonmembers_nothing_is_said():
    assert checked(3.0, allowed=None) is None
    assert checked(3.0, n=20) is None
