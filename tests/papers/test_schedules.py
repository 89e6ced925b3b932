"""Learning rates at points worked by hand."""

import math

import numpy as np
import pytest

from vestige.papers.schedules import Drop, HalfCosine, SteepCosine


def test_the_steep_cosine_ends_at_a_fifth():
    rate = SteepCosine()
    assert rate(0.0) == 1
    assert rate(4 / 7) == pytest.approx(math.sqrt(0.5))  # 7/16 of it is a quarter of pi
    assert rate(1.0) == pytest.approx(0.19509, abs=1e-5)


def test_a_warm_up_is_a_factor_of_the_steep_cosine():
    rate = SteepCosine(warm_up=0.01)
    assert rate(0.0) == 0
    assert rate(0.0025) == pytest.approx(0.25 * SteepCosine()(0.0025))
    assert rate(0.01) == SteepCosine()(0.01)
    assert rate(0.7) == SteepCosine()(0.7)


def test_the_half_cosine_goes_to_nothing():
    rate = HalfCosine()
    assert [rate(p) for p in (0.0, 1 / 3, 0.5, 2 / 3, 1.0)] == pytest.approx([1, 0.75, 0.5, 0.25, 0])


def test_a_warm_up_comes_before_the_half_cosine():
    rate = HalfCosine(warm_up=0.3)
    assert [rate(p) for p in (0.0, 0.15, 0.3)] == pytest.approx([0, 0.5, 1])
    assert [rate(p) for p in (0.3 + 0.7 / 3, 0.65, 1.0)] == pytest.approx([0.75, 0.5, 0])


def test_a_drop_is_a_step():
    rate = Drop(at=0.75, factor=0.1)
    epochs = np.array([rate(((number - 1) + step / 16) / 200) for number in range(1, 201) for step in range(16)])
    assert np.array_equal(epochs, np.repeat([1.0, 0.1], [150 * 16, 50 * 16]))


@pytest.mark.parametrize("rate", [SteepCosine(), SteepCosine(0.01), HalfCosine(), HalfCosine(0.3), Drop(0.5, 0.2)])
def test_factors_stay_between_0_and_1(rate):
    factors = [rate(p) for p in np.linspace(0, 1, 1001, endpoint=False).tolist()]
    assert min(factors) >= 0
    assert max(factors) <= 1
