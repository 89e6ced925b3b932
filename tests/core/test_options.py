"""What can change a number has a name and a default, and is checked."""

from dataclasses import FrozenInstanceError, asdict

import pytest

from vestige.core.errors import InputError
from vestige.core.options import Arithmetic, Options, SubjectScore


def test_the_defaults_are_the_documented_ones():
    assert asdict(Options()) == {
        "arithmetic": "stable",
        "subject_score": "mean",
        "risk_prior": 0.5,
        "risk_bins": 5,
        "min_cell": 10,
        "headline_fpr": None,
        "seed": 0,
        "name": "target",
        "purpose": None,
        "author": None,
    }


def test_options_are_their_own_names():
    assert [str(a) for a in Arithmetic] == ["stable", "published"]
    assert [str(s) for s in SubjectScore] == ["mean", "maximum"]
    with pytest.raises(ValueError, match="median"):
        SubjectScore("median")


@pytest.mark.parametrize("prior", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_prior_lies_between_0_and_1(prior):
    with pytest.raises(InputError, match="risk prior between 0 and 1, found"):
        Options(risk_prior=prior)


def test_a_histogram_has_a_bin():
    with pytest.raises(InputError, match="at least 1 risk bin, found 0"):
        Options(risk_bins=0)


def test_options_do_not_change():
    with pytest.raises(FrozenInstanceError):
        Options().seed = 1  # type: ignore[misc]


@pytest.mark.parametrize("fpr", [0.0, 0.05, 1.0, float("nan")])
def test_a_headline_is_at_a_rate_that_results_have(fpr):
    with pytest.raises(InputError, match=r"Expected 0\.1, 0\.01, 0\.001 or 0\.0001 as headline_fpr, found"):
        Options(headline_fpr=fpr)
    assert "headline_fpr" not in Options().as_text()
    assert Options(headline_fpr=0.1).as_text()["headline_fpr"] == 0.1
