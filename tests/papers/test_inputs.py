"""Scaling against arithmetic by hand."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from vestige.papers.inputs import (
    ADULT_MEAN,
    ADULT_STD,
    CIFAR10_MEAN,
    CIFAR10_STD,
    MNIST_MEAN,
    MNIST_STD,
    black,
    first_standardised,
    from_minus_one_to_one,
    standardised,
)  # fmt: skip

REAL = os.environ.get("VESTIGE_DATA")

IMAGES = torch.randint(256, (5, 4, 6, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_bytes_become_minus_one_to_one():
    expected = IMAGES.numpy().astype(np.float64).transpose(0, 3, 1, 2) / 127.5 - 1
    assert np.allclose(from_minus_one_to_one(IMAGES).numpy(), expected, atol=1e-6)


def test_each_channel_has_its_own_mean_and_deviation():
    found = standardised(IMAGES, mean=CIFAR10_MEAN, std=CIFAR10_STD).numpy()
    scaled = IMAGES.numpy() / 255
    for channel, (mean, std) in enumerate(zip(CIFAR10_MEAN, CIFAR10_STD, strict=True)):
        assert np.allclose(found[:, channel], (scaled[..., channel] - mean) / std, atol=1e-6)


def test_a_half_and_a_half_is_minus_one_to_one():
    assert torch.allclose(
        standardised(IMAGES, mean=(0.5,) * 3, std=(0.5,) * 3), from_minus_one_to_one(IMAGES), atol=1e-6
    )


def test_black_is_what_becomes_of_black():
    dark = standardised(torch.zeros(1, 1, 1, 3, dtype=torch.uint8), mean=CIFAR10_MEAN, std=CIFAR10_STD)
    assert dark.flatten().tolist() == pytest.approx(black(CIFAR10_MEAN, CIFAR10_STD))


def test_the_bytes_stay_as_they_were():
    before = IMAGES.clone()
    from_minus_one_to_one(IMAGES)
    assert torch.equal(IMAGES, before)


def test_only_the_first_columns_of_a_table_are_standardised():
    table = torch.tensor([[30.0, 4.0, 1.0], [10.0, 8.0, 0.0]])
    found = first_standardised(table, mean=(20.0, 6.0), std=(5.0, 2.0))
    assert found.tolist() == [[2, -1, 1], [-2, 1, 0]]
    assert table[0, 0] == 30


# ------------------------------------------------------------------------------------ the real


@pytest.mark.skipif(not REAL, reason="VESTIGE_DATA names no folder")
def test_adults_means_and_deviations_are_those_of_its_records():
    from vestige.data.sets.named import load

    first = np.asarray(load("adult-choquette-choo", folder=Path(str(REAL))).inputs[:, :6], dtype=np.float64)
    assert first.mean(axis=0).tolist() == pytest.approx(ADULT_MEAN, rel=1e-6)
    assert first.std(axis=0).tolist() == pytest.approx(ADULT_STD, rel=1e-6)


@pytest.mark.skipif(not REAL, reason="VESTIGE_DATA names no folder")
def test_mnists_mean_and_deviation_are_those_of_its_training_images():
    from vestige.data.sets.named import load

    images = np.asarray(load("mnist", folder=Path(str(REAL))).inputs[:60_000])
    assert (images.mean() / 255, images.std() / 255) == pytest.approx((*MNIST_MEAN, *MNIST_STD), abs=5e-5)
