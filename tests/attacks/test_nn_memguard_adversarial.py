"""The network that is trained adversarially: its noise and its training against plain forms."""

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from vestige.attacks import named
from vestige.attacks.nn import nn_memguard
from vestige.attacks.nn_memguard_adversarial import AdversariallyTrained, nn_memguard_adversarial
from vestige.core.errors import InputError


def rows_and_side(n=300, n_classes=5, seed=0):
    """Sorted answers; those about side 1 are less sure."""
    rng = np.random.default_rng(seed)
    side = np.arange(n) % 2
    sharp = rng.dirichlet(np.full(n_classes, 0.2), size=n)
    flat = rng.dirichlet(np.full(n_classes, 2.0), size=n)
    return np.sort(np.where(side[:, None] == 1, flat, sharp), axis=1), side


@pytest.fixture(scope="module")
def trained():
    model = AdversariallyTrained(0.1)
    model.fit(*rows_and_side())
    return model


def losses(model, rows, side):
    return -np.log(model.predict_proba(rows)[np.arange(len(side)), side])


def test_the_slope_is_the_derivative_of_the_log_odds(trained):
    rows, _ = rows_and_side(20, seed=1)

    def log_odds(at):
        p = trained.predict_proba(at)
        return np.log(p[:, 1] / p[:, 0])

    found = np.stack([(log_odds(rows + h) - log_odds(rows - h)) / 2e-6 for h in 1e-6 * np.eye(5)], axis=1)
    np.testing.assert_allclose(trained._slope(rows), found, rtol=1e-4, atol=1e-5)


def test_noise_is_short_keeps_probabilities_and_misleads_more_than_chance(trained):
    rows, side = rows_and_side(200, seed=2)
    noisy = trained.misleading(rows, side)
    noise = noisy - rows
    assert np.linalg.norm(noise, axis=1).max() <= 0.1 + 1e-9
    assert noisy.min() >= 0
    assert noisy.max() <= 1
    drawn = np.random.default_rng(3).normal(size=rows.shape)
    drawn = np.clip(rows + 0.1 * drawn / np.linalg.norm(drawn, axis=1, keepdims=True), 0, 1)
    own, by_chance, worst = (losses(trained, at, side) for at in (rows, drawn, noisy))
    assert (worst >= own - 1e-9).mean() > 0.99
    assert worst.mean() > by_chance.mean() + 0.05


def test_without_noise_it_is_a_network_of_plain_steps():
    rows, side = rows_and_side(250, seed=4)
    model = AdversariallyTrained(0.0)
    model.fit(rows, side)
    plain, rng = MLPClassifier((512, 256, 128), random_state=0), np.random.default_rng(0)
    table = rows.astype(np.float32)
    for _ in range(30):
        order = rng.permutation(250)
        for some in (order[:200], order[200:]):
            plain.partial_fit(table[some], side[some], classes=[0, 1])
    np.testing.assert_allclose(model.predict_proba(rows), plain.predict_proba(table), atol=1e-5)


def test_training_with_noise_makes_noise_mislead_less():
    rows, side = rows_and_side(seed=5)
    models = [AdversariallyTrained(radius) for radius in (0.0, 0.1)]
    for model in models:
        model.fit(rows, side)
    of_plain, of_adversarial = (
        np.mean(losses(model, AdversariallyTrained.misleading(model_with(model, 0.1), rows, side), side))
        for model in models
    )
    assert of_adversarial < of_plain


def model_with(model, radius):
    """The same network, misled by more."""
    other = AdversariallyTrained(radius)
    other.network = model.network
    return other


def test_its_radius_is_an_option_of_0_or_more():
    p, side = rows_and_side(8)
    with pytest.raises(InputError, match=r"radius of 0 or more, found -1; 0.1 is the default"):
        nn_memguard_adversarial(p, side == 0, p, radius=-1.0)
    assert named("nn_memguard_adversarial").with_options(radius=0.02).options == {"radius": 0.02}


def test_it_ranks_as_the_network_without_noise_does():
    given = rows_and_side(400, seed=6)
    scores = [f(given[0], given[1] == 0, given[0]) for f in (nn_memguard, nn_memguard_adversarial)]
    assert np.corrcoef(scores[0], scores[1])[0, 1] > 0.8
