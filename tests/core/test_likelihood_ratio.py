"""The choices of LiRA as a value: names, defaults, and those that do not go together."""

import pytest

from vestige.core.errors import InputError
from vestige.core.likelihood_ratio import Center, LikelihoodRatio, Queries, Statistic, Variance


def test_plain_names_are_as_good_and_all_are_told():
    found = LikelihoodRatio(
        statistic="hinge", center="median", variance="published_fixed", queries="mean", min_std=0.01
    )
    assert found == LikelihoodRatio(
        statistic=Statistic.HINGE,
        center=Center.MEDIAN,
        variance=Variance.PUBLISHED_FIXED,
        queries=Queries.MEAN,
        min_std=0.01,
    )
    assert found.as_text() == {
        "statistic": "hinge", "center": "median", "variance": "published_fixed", "queries": "mean", "min_std": 0.01,
        "counts": "all",
    }  # fmt: skip
    assert LikelihoodRatio().as_text() == {
        "statistic": "logit", "center": "mean", "variance": "better_on_reference_models", "queries": "mean",
        "min_std": 0.001, "counts": "all",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"statistic": "phi"}, "one of logit, hinge, loss as statistic, found 'phi'"),
        ({"center": "mode"}, "one of mean, median as center, found 'mode'"),
        ({"variance": "own"}, "one of pooled, per_record, published_fixed as variance"),
        ({"queries": "all"}, "one of mean, full_covariance as queries"),
        ({"queries": "full_covariance", "variance": "per_record"}, "pooled variance beside the covariance of queries"),
        ({"counts": "some"}, "one of all, smallest as counts"),
        ({"min_std": 0.0}, "floor above 0 as min_std, found 0"),
        ({"min_std": float("nan")}, "floor above 0 as min_std"),
    ],
)
def test_what_is_no_choice_is_refused(options, said):
    with pytest.raises(InputError, match=said):
        LikelihoodRatio(**options)
