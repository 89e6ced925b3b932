"""Mixtures of records with others of another class: what is asked, by a plain form, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from vestige.core.errors import InputError
from vestige.core.inputs import InputSpace
from vestige.signals.label_only.mixtures import Mixtures, MixtureStrength, mixture_labels


class Sum:
    """Calls an input 1 where its features sum to more than a number."""

    n_classes = 3

    def __init__(self, above):
        self.above, self.seen = above, []

    def labels(self, inputs, records):
        self.seen.append(inputs)
        return (inputs.reshape(len(inputs), -1).sum(axis=1) > self.above).astype(int)


@pytest.fixture
def pool():
    rng = np.random.default_rng(0)
    numbers, bits = rng.normal(size=(30, 3)), rng.integers(0, 2, size=(30, 4))
    return np.concatenate([numbers, bits], axis=1), np.arange(30) % 3


def test_a_copy_is_a_step_to_a_record_of_another_class(pool):
    inputs, labels = pool
    copies = Mixtures(InputSpace(), inputs, labels, MixtureStrength(0.3), seed=1).copies(np.array([4, 7]), 0, 50)
    for row, of_row in zip((4, 7), copies.reshape(2, 50, -1), strict=True):
        for draw, copy in enumerate(of_row):
            share = 0.3 * (0.5 + (draw * (np.sqrt(5) - 1) / 2) % 1)
            steps = inputs[row] + share * (inputs - inputs[row])
            [other] = np.flatnonzero(np.isclose(steps[:, :3], copy[:3], atol=1e-6).all(axis=1))
            assert labels[other] != labels[row]
            assert ((copy[3:] == inputs[row, 3:]) | (copy[3:] == inputs[other, 3:])).all()


def test_bits_are_taken_as_often_as_numbers_move():
    bits, labels = np.repeat([[0], [1]], 40, axis=1).astype(np.uint8), np.array([0, 1])
    copies = Mixtures(InputSpace(), bits, labels, MixtureStrength(0.2), seed=0).copies(np.array([0]), 0, 500)
    assert copies.dtype == np.uint8
    assert copies.mean() == pytest.approx(0.2, abs=0.02)
    assert copies[1].mean() != copies[2].mean()


def test_whole_numbers_stay_whole_and_images_keep_their_shape():
    images = np.random.default_rng(0).integers(0, 256, size=(6, 5, 4, 3)).astype(np.uint8)
    copies = Mixtures(InputSpace(), images, np.arange(6) % 2, MixtureStrength(0.5), seed=0).copies(np.arange(6), 3, 9)
    assert copies.shape == (36, 5, 4, 3)
    assert copies.dtype == np.uint8
    own = np.repeat(images, 6, axis=0).astype(int)
    assert 0 < np.abs(copies - own).mean() < np.abs(images[::2].astype(int) - images[1::2]).mean()


def test_others_are_all_records_of_other_classes_alike():
    inputs = np.arange(10.0)[:, None] * 100
    labels = np.array([0, 1, 0, 1, 0, 1, 0, 1, 1, 1])
    copies = Mixtures(InputSpace(), inputs, labels, MixtureStrength(2 / 3), seed=0).copies(np.array([2]), 0, 3_000)
    shares = MixtureStrength(2 / 3).shares(0, 3_000)
    others = 2 + (copies[:, 0] - 200) / shares / 100
    found, counts = np.unique(others.round().astype(int), return_counts=True)
    assert found.tolist() == [1, 3, 5, 7, 8, 9]
    assert counts.min() > 420


def test_fewer_draws_are_the_first_ones_whatever_the_batches(pool):
    inputs, labels = pool
    given = (inputs, labels, InputSpace(), MixtureStrength(0.4))
    many = mixture_labels(Sum(1.0), *given, 70, seed=3)
    assert 0 < many.mean() < 1
    np.testing.assert_array_equal(mixture_labels(Sum(1.0), *given, 20, seed=3), many[:, :20])
    mixtures = Mixtures(InputSpace(), inputs, labels, MixtureStrength(0.4), seed=3)
    whole = mixtures.copies(np.arange(30), 0, 70).reshape(30, 70, -1)
    np.testing.assert_array_equal(mixtures.copies(np.array([8, 2]), 60, 68).reshape(2, 8, -1), whole[[8, 2], 60:68])


def test_every_model_is_asked_the_same_and_another_seed_asks_otherwise(pool):
    inputs, labels = pool
    seen = []
    for target, seed in ((Sum(0.0), 0), (Sum(2.0), 0), (Sum(0.0), 1)):
        mixture_labels(target, inputs, labels, InputSpace(), MixtureStrength(0.2), 10, seed)
        seen.append(np.concatenate(target.seen))
    np.testing.assert_array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[0], seen[2])


@pytest.mark.parametrize("towards", [0.0, -1.0, 0.7, np.nan])
def test_a_share_that_goes_nowhere_or_too_far_is_refused(towards):
    with pytest.raises(InputError, match="at most 2/3"):
        MixtureStrength(towards)


def test_one_class_and_tables_are_refused(pool):
    inputs, labels = pool
    with pytest.raises(InputError, match="found 30 records of one"):
        Mixtures(InputSpace(), inputs, np.ones(30, dtype=int), MixtureStrength(0.2), seed=0)
    with pytest.raises(InputError, match="found a table with columns"):
        Mixtures(InputSpace(), pd.DataFrame(inputs), labels, MixtureStrength(0.2), seed=0)
