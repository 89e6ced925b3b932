"""Laws of the random changes: every image comes out as one of the possible ones, each as likely as it should be."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from scipy import stats

from vestige.papers.augmentations import Cutout, FilledCrop, InTurn, Mirror, OnBytes, ReflectedCrop
from vestige.papers.choquette_choo import fixmatch_augmentation

Augmentation = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
ALL = [
    Mirror(),
    Mirror(upside_down=True),
    ReflectedCrop(2),
    FilledCrop((0.5, 0.0, -1.0), padding=2),
    Cutout(4),
    InTurn((Mirror(), ReflectedCrop(2), Cutout(4))),
]


def _images(n: int = 40, n_channels: int = 3, height: int = 9, width: int = 7) -> torch.Tensor:
    return torch.rand(n, n_channels, height, width, generator=torch.Generator().manual_seed(1))


def _stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _crops(padded: np.ndarray, height: int, width: int) -> Iterator[np.ndarray]:
    for top in range(padded.shape[1] - height + 1):
        for left in range(padded.shape[2] - width + 1):
            yield padded[:, top : top + height, left : left + width]


def _places(found: torch.Tensor, padded: list[np.ndarray]) -> list[int]:
    """For each image which of its possible crops came out; exactly one must."""
    places = []
    for image, whole in zip(found.numpy(), padded, strict=True):
        same = [np.array_equal(image, crop) for crop in _crops(whole, *image.shape[1:])]
        assert sum(same) == 1
        places.append(same.index(True))
    return places


def _likely(counts: np.ndarray, expected: np.ndarray | None = None) -> bool:
    return bool(stats.chisquare(counts, expected).pvalue > 0.001)


# --------------------------------------------------------------------------------- laws of all


@pytest.mark.parametrize("augmentation", ALL, ids=str)
def test_one_stream_one_result_and_another_stream_another(augmentation: Augmentation):
    images = _images()
    first = augmentation(images, _stream())
    assert torch.equal(first, augmentation(images, _stream()))
    assert not torch.equal(first, augmentation(images, _stream(1)))


@pytest.mark.parametrize("augmentation", ALL, ids=str)
def test_shape_and_type_stay_and_the_batch_is_not_changed_in_place(augmentation: Augmentation):
    images = _images()
    before = images.clone()
    found = augmentation(images, _stream())
    assert (found.shape, found.dtype) == (images.shape, images.dtype)
    assert torch.equal(images, before)


@pytest.mark.parametrize("augmentation", ALL, ids=str)
def test_the_global_stream_is_left_alone(augmentation: Augmentation):
    before = torch.get_rng_state()
    augmentation(_images(), _stream())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("augmentation", ALL, ids=str)
def test_a_single_image_and_none_at_all(augmentation: Augmentation):
    assert augmentation(_images(1), _stream()).shape == (1, 3, 9, 7)
    assert augmentation(_images(0), _stream()).shape == (0, 3, 9, 7)


# ------------------------------------------------------------------------------------- mirrors


@pytest.mark.parametrize(("upside_down", "axis"), [(False, 2), (True, 1)])
def test_half_of_the_images_are_mirrored(upside_down, axis):
    images = _images(1000)
    found = Mirror(upside_down=upside_down)(images, _stream()).numpy()
    same = np.array([np.array_equal(a, b) for a, b in zip(found, images.numpy(), strict=True)])
    turned = np.array([np.array_equal(a, np.flip(b, axis)) for a, b in zip(found, images.numpy(), strict=True)])
    assert np.array_equal(same, ~turned)
    assert stats.binomtest(int(same.sum()), same.size).pvalue > 0.001


# --------------------------------------------------------------------------------------- crops


def test_reflected_crops_are_uniform_over_all_shifts():
    images = _images(2000, n_channels=1)
    padded = [np.pad(image, [(0, 0), (2, 2), (2, 2)], mode="reflect") for image in images.numpy()]
    places = _places(ReflectedCrop(2)(images, _stream()), padded)
    assert _likely(np.bincount(places, minlength=25))


def test_filled_crops_are_uniform_over_all_shifts():
    images = _images(2000, n_channels=2)
    fill = (0.25, -1.5)
    padded = []
    for image in images.numpy():
        whole = np.stack([np.full((13, 11), colour, dtype=np.float32) for colour in fill])
        whole[:, 2:-2, 2:-2] = image
        padded.append(whole)
    places = _places(FilledCrop(fill, padding=2)(images, _stream()), padded)
    assert _likely(np.bincount(places, minlength=25))


def test_no_padding_is_no_change():
    images = _images()
    assert torch.equal(ReflectedCrop(0)(images, _stream()), images)
    assert torch.equal(FilledCrop((0.0,) * 3, padding=0)(images, _stream()), images)


def test_shifts_of_one_batch_differ_between_images():
    images = _images(1).expand(50, -1, -1, -1)
    assert len({image.numpy().tobytes() for image in ReflectedCrop(2)(images, _stream())}) > 10


# -------------------------------------------------------------------------------------- cutout


def test_the_square_is_where_its_centre_is_drawn_and_the_rest_stays():
    images = _images(2000, n_channels=2)
    found = Cutout(4, fill=7.0)(images, _stream()).numpy()
    possible: dict[bytes, int] = {}
    for row in range(9):
        for column in range(7):
            square = np.zeros((9, 7), dtype=bool)
            square[max(0, row - 2) : row + 2, max(0, column - 2) : column + 2] = True
            possible[square.tobytes()] = len(possible)
    assert len(possible) == 63
    counts = np.zeros(63)
    for before, after in zip(images.numpy(), found, strict=True):
        square = (after == 7.0).all(axis=0)
        assert np.array_equal(after, np.where(square, np.float32(7.0), before))
        counts[possible[square.tobytes()]] += 1
    assert _likely(counts)


# ------------------------------------------------------------------------------------- in turn


def test_steps_follow_one_another_on_one_stream():
    images, generator = _images(), _stream()
    by_hand = ReflectedCrop(2)(Mirror()(images, generator), generator)
    assert torch.equal(InTurn((Mirror(), ReflectedCrop(2)))(images, _stream()), by_hand)


def test_draws_of_a_training_pipeline_are_images_as_they_are_in_the_records():
    images = np.random.default_rng(0).integers(0, 256, size=(50, 32, 32, 3), dtype=np.uint8)
    draws = OnBytes(fixmatch_augmentation())(images, np.random.default_rng(1))
    assert draws.dtype == np.uint8
    assert draws.shape == images.shape
    grey = (draws == 128).all(axis=-1).sum(axis=(1, 2))
    assert (grey >= 8 * 8).all()  # a corner of the square at least
    assert grey.max() <= 256 + 2
    np.testing.assert_array_equal(OnBytes(fixmatch_augmentation())(images, np.random.default_rng(1)), draws)
    mirrored = OnBytes(Mirror())(images, np.random.default_rng(2))
    is_same = (mirrored == images).all(axis=(1, 2, 3))
    is_mirrored = (mirrored == images[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (is_same ^ is_mirrored).all()
    assert 10 < is_same.sum() < 40
