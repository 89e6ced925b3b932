"""The accountant against dp-accounting 0.6, published numbers and closed forms."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from vestige.core.errors import InputError
from vestige.training.accounting import epsilon_of, gaussian_epsilon_of, n_epochs_within, noise_for, renyi
from vestige.training.dp_sgd import DPSGD

DIVERGENCES = {
    (0.01, 1.0): [0.00017181342207455162, 0.000893643907606041, 11.498633935093787, 123.37677032308646],
    (0.04, 2.0): [0.0004543374398130887, 0.0019601436751057752, 0.7512214510950425, 28.768501132681337],
    (0.3, 0.8): [0.29219635749993067, 4.87407851611127, 24.14843083680657, 198.7913057336963],
    (0.001, 4.0): [6.449445683764463e-08, 2.5807974799256716e-07, 1.0501443102594535e-06, 1.0652757384639067],
    (0.5, 10.0): [0.0025093906151366085, 0.010190725596076255, 0.04414583326766128, 0.6678787609036129],
}
"""dp-accounting's divergence of a step at orders 2, 8, 32.5 and 256, by share and noise."""

EPSILONS = {
    (0.01, 1.0, 10_000, 1e-5): 6.712297674658,
    (0.04, 2.0, 25_000, 1 / 2500): 17.7369504880251,
    (256 / 60_000, 1.0, 3_525, 1 / 60_000): 1.5032351218721278,
    (0.1, 4.0, 500, 1e-3): 1.824856492792353,
}
"""dp-accounting's epsilon with its Renyi accountant, over 480 orders."""


@pytest.mark.parametrize("step", DIVERGENCES)
def test_the_divergence_of_a_step_is_that_of_dp_accounting(step):
    share, noise = step
    ours = [renyi(order, noise, share) for order in (2.0, 8.0, 32.5, 256.0)]
    np.testing.assert_allclose(ours, DIVERGENCES[step], rtol=1e-4)
    assert ours[0] == pytest.approx(DIVERGENCES[step][0], rel=1e-6)


def test_the_divergence_at_order_2_in_closed_form():
    """1 + q^2 (exp(1 / s^2) - 1) is the second moment of the ratio."""
    for share, noise in [(0.01, 0.3), (0.2, 1.0), (0.5, 3.0)]:
        assert renyi(2.0, noise, share) == pytest.approx(math.log1p(share**2 * math.expm1(noise**-2)), rel=1e-9)


@pytest.mark.parametrize("training", EPSILONS)
def test_epsilon_is_that_of_dp_accounting(training):
    share, noise, n_steps, delta = training
    ours = epsilon_of(noise, share, n_steps, delta)
    assert ours == pytest.approx(EPSILONS[training], rel=1e-3)
    assert ours <= EPSILONS[training]


@pytest.mark.parametrize(
    ("noise", "epochs", "limit", "epsilon"),
    [
        (0.5, 5, 15.7, 14.9), (0.5, 10, 25.5, 20.4), (0.5, 50, 87, 50), (0.5, 100, 155, 79), (0.5, 174, 250, 118),
        (2.0, 1000, 16, 17.7),
    ],
)  # fmt: skip
def test_what_choquette_choo_et_al_train(noise, epochs, limit, epsilon):
    """2,500 images in batches of 100, delta 1/n: their code stops by the central limit, which is no bound."""
    training = (noise, 0.04, 25 * epochs, 1 / 2500)
    assert gaussian_epsilon_of(*training) == pytest.approx(limit, rel=0.02)
    assert epsilon_of(*training) == pytest.approx(epsilon, rel=0.01)


def test_one_full_batch_is_the_gaussian_mechanism():
    """Its exact epsilon solves delta = Phi(m/2 - eps/m) - e^eps Phi(-m/2 - eps/m); a bound lies above it."""
    for noise in (0.7, 2.0, 5.0):
        found = epsilon_of(noise, 1.0, 1, 1e-5)
        m = 1 / noise
        delta = norm.cdf(m / 2 - found / m) - math.exp(found) * norm.cdf(-m / 2 - found / m)
        assert 0 < delta < 1e-5


@pytest.mark.parametrize("noise", [0.7, 2.0, 5.0])
def test_the_best_test_of_a_gaussian_lies_below_what_is_allowed(noise):
    """Neyman & Pearson: Phi(Phi^-1(a) + 1 / noise), which the bound comes near to where delta is what it is for."""
    promised = DPSGD(1.0, noise=noise, delta=0.01).privacy(n_records=10, share=1.0, n_steps=1)
    rates = np.linspace(0.0, 1.0, 201)
    allowed = np.array([promised.most_tpr(float(rate)) for rate in rates])
    best = norm.cdf(norm.ppf(rates) + 1 / noise)
    assert (best <= allowed + 1e-12).all()
    assert (allowed >= rates).all()
    assert (np.diff(allowed) >= 0).all()
    assert DPSGD(1.0, noise=0.0).privacy(10, 1.0, 1).most_tpr(0.0) == 1.0


def test_epsilon_falls_with_noise_and_rises_with_steps():
    noises = [epsilon_of(noise, 0.02, 500, 1e-4) for noise in (0.1, 0.5, 1.0, 2.0, 10.0, 100.0)]
    steps = [epsilon_of(1.0, 0.02, n, 1e-4) for n in (1, 10, 100, 1000)]
    assert noises == sorted(noises, reverse=True)
    assert steps == sorted(steps)
    assert epsilon_of(0.0, 0.02, 5, 1e-4) == gaussian_epsilon_of(0.0, 0.02, 5, 1e-4) == math.inf


# 0.001 takes 13 s: the integral has 5 million points.
@pytest.mark.parametrize("noise", [pytest.param(0.001, marks=pytest.mark.slow), 0.005, 0.03, 0.1, 0.15])
def test_next_to_no_noise_has_a_bound_and_no_central_limit(noise):
    assert 100 < epsilon_of(noise, 0.05, 1_200, 5e-4) < math.inf
    assert gaussian_epsilon_of(noise, 0.05, 1_200, 5e-4) == math.inf
    assert 1e9 < gaussian_epsilon_of(0.2, 0.05, 1_200, 5e-4) < 1e12


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 10.0, 100.0, 1000.0])
def test_noise_is_found_within_a_percent(epsilon):
    noise = noise_for(epsilon, 0.01, 3_000, 1e-4)
    assert 0.99 * epsilon < epsilon_of(noise, 0.01, 3_000, 1e-4) <= epsilon
    assert epsilon_of(noise / 1.01, 0.01, 3_000, 1e-4) > epsilon


def test_epochs_are_the_most_that_epsilon_allows():
    epochs = n_epochs_within(250.0, 0.5, 0.04, 25, 1 / 2500, 10_000)
    assert epochs == pytest.approx(450, abs=15)
    spent = [epsilon_of(0.5, 0.04, 25 * n, 1 / 2500) for n in (epochs, epochs + 1)]
    assert spent[0] <= 250 < spent[1]
    assert n_epochs_within(250.0, 0.5, 0.04, 25, 1 / 2500, 100) == 100


def test_what_cannot_be_reached_is_refused():
    with pytest.raises(InputError, match=r"noise of 0.1 to 1000 clips gives in 3,000 steps .* found 1e-09"):
        noise_for(1e-9, 0.01, 3_000, 1e-4)
    with pytest.raises(InputError, match=r"that of one epoch with noise 0.5, found 1; take more noise"):
        n_epochs_within(1.0, 0.5, 0.04, 25, 1 / 2500, 100)
