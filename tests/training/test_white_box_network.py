"""The white-box attack's network: it learns, is the same each time, and leaves others' random numbers alone."""

import numpy as np
import pytest
import torch

from vestige.attacks.white_box_gradient import white_box_gradient
from vestige.core.errors import InputError
from vestige.evaluation.roc import roc
from vestige.training.white_box_network import WhiteBoxNetwork

N_CLASSES, N_INPUTS = 3, 4


def features(n, seed):
    """Answers that tell nothing, and gradients that are smaller for members."""
    rng = np.random.default_rng(seed)
    member, labels = rng.permutation(n) < n // 2, rng.integers(N_CLASSES, size=n)
    p = rng.dirichlet(np.ones(N_CLASSES), size=n)
    gradients = rng.normal(size=(n, N_INPUTS, N_CLASSES)) * np.where(member, 0.3, 1.0)[:, None, None]
    return (p, labels, -np.log(p[np.arange(n), labels]), gradients), member


def score(epochs, seed=0):
    known, known_member = features(300, 1)
    scored, member = features(200, 2)
    network = WhiteBoxNetwork(N_CLASSES, epochs=epochs, seed=seed)
    (known_p, known_y, known_losses, known_gradients), (p, y, losses, gradients) = known, scored
    found = white_box_gradient(
        known_p, known_y, known_losses, known_gradients, known_member, p, y, losses, gradients, classifier=network
    )
    return found, member


def test_it_finds_what_the_sizes_of_gradients_tell():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    scores, member = score(20)
    assert torch.rand(1) == expected
    assert roc(scores[member], scores[~member]).auc > 0.75


def test_the_seed_decides_it():
    once, again, other = score(1)[0], score(1)[0], score(1, seed=1)[0]
    np.testing.assert_array_equal(again, once)
    assert (other != once).any()


def test_a_row_holds_the_features_of_so_many_classes():
    rows = np.zeros((4, 2 * N_CLASSES + 1 + N_INPUTS * N_CLASSES))
    for n_classes in (N_CLASSES + 1, 20):
        with pytest.raises(InputError, match="found 19 columns; give the target's number of classes"):
            WhiteBoxNetwork(n_classes).fit(rows, np.arange(4) % 2)
