"""Scaling against arithmetic by hand."""

import numpy as np
import pytest
import torch

from vestige.papers.inputs import CIFAR10_MEAN, CIFAR10_STD, black, from_minus_one_to_one, standardised

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
