"""Augmented copies on labels: exact shifts, known rotations, the gap attack without any, draws of a pipeline."""

import numpy as np
import pytest
from scipy import ndimage
from tests.signals.label_only_targets import Linear

from vestige.attacks.augmentation_count import augmentation_count
from vestige.attacks.correctness import correctness
from vestige.core.errors import InputError
from vestige.signals.label_only.random_augmentations import random_augmentation_labels
from vestige.signals.label_only.rotations import angles, rotated, rotation_labels
from vestige.signals.label_only.translations import shifts, translated, translation_labels

IMAGES = np.random.default_rng(0).integers(0, 256, size=(6, 8, 8, 3), dtype=np.uint8)
RECORDS = np.arange(6)


def first_pixel(n_features=192, b=0.0):
    """A model that looks at the first number of an image alone."""
    return Linear(np.eye(n_features)[0], b)


# ----------------------------------------------------------------------------------- translations


@pytest.mark.parametrize(("distance", "n"), [(0, 1), (1, 5), (2, 9), (3, 13), (7, 29)])
def test_there_are_4_d_1_different_shifts_of_one_length(distance, n):
    found = shifts(distance)
    assert len(np.unique(found, axis=0)) == len(found) == n
    assert (found[0] == 0).all()
    assert (np.abs(found[1:]).sum(axis=1) == distance).all()


def test_shifts_move_pixels_as_they_are_and_repeat_the_border():
    for distance in (1, 2):
        copies = translated(IMAGES, distance)
        assert copies.dtype == np.uint8
        for copy, (i, j) in zip(copies.swapaxes(0, 1), shifts(distance), strict=True):
            for image, moved in zip(IMAGES, copy, strict=True):
                np.testing.assert_array_equal(moved, ndimage.shift(image, (i, j, 0), order=0, mode="nearest"))


def test_channels_may_come_first_and_may_be_missing():
    first = translated(np.moveaxis(IMAGES, -1, 1), 2, axes=(2, 3))
    np.testing.assert_array_equal(np.moveaxis(first, 2, -1), translated(IMAGES, 2))
    np.testing.assert_array_equal(translated(IMAGES[..., 0], 2), translated(IMAGES, 2)[..., 0])
    turned = rotated(np.moveaxis(IMAGES, -1, 1), 5, axes=(2, 3))
    np.testing.assert_array_equal(np.moveaxis(turned, 2, -1), rotated(IMAGES, 5))


def test_a_model_of_one_pixel_says_which_shifts_bring_another_value_there():
    image = np.zeros((1, 5, 5))
    image[0, 0, 0] = 1.0
    target = first_pixel(25, 0.5)
    correct = translation_labels(target, image, np.array([1]), np.array([0]), 1)
    # the corner is repeated where the image moves right or down, and leaves where it moves left or up
    assert dict(zip(map(tuple, shifts(1).tolist()), correct[0].tolist(), strict=True)) == {
        (0, 0): True, (1, 0): True, (0, 1): True, (-1, 0): False, (0, -1): False
    }  # fmt: skip
    assert augmentation_count(correct) == [3.0]


@pytest.mark.parametrize("ask", [translation_labels, rotation_labels])
def test_g4_without_a_change_it_is_the_gap_attack(ask):
    target = first_pixel(b=120.0)
    labels = np.array([0, 1, 0, 1, 0, 1])
    correct = ask(target, IMAGES, labels, RECORDS, 0)
    predicted = first_pixel(b=120.0).labels(IMAGES, RECORDS)
    np.testing.assert_array_equal(augmentation_count(correct), correctness(predicted, labels))
    assert len(target.records) == 6
    np.testing.assert_array_equal(target.seen, IMAGES)


@pytest.mark.parametrize(
    ("ask", "magnitude", "options", "n"),
    [
        (translation_labels, 2, {}, 9),
        (rotation_labels, 4, {}, 3),
        (rotation_labels, 4, {"dense": True}, 9),
    ],
)
def test_queries_are_counted_and_batches_change_nothing(ask, magnitude, options, n):
    labels = np.array([0, 1, 0, 1, 0, 1])
    whole = first_pixel(b=120.0)
    correct = ask(whole, IMAGES, labels, RECORDS, magnitude, **options)
    assert correct.shape == (6, n)
    assert np.bincount(whole.records).tolist() == [n] * 6
    assert whole.sizes == [6 * n]
    for batch_size in (1, 4, n, 2 * n + 1):
        again = first_pixel(b=120.0)
        np.testing.assert_array_equal(
            ask(again, IMAGES, labels, RECORDS, magnitude, batch_size=batch_size, **options), correct
        )
        np.testing.assert_array_equal(again.seen, whole.seen)
        assert max(again.sizes) <= batch_size


# -------------------------------------------------------------------------------------- rotations


def test_rotations_are_those_of_scipy_for_single_images_kept_in_the_range_with_black_corners():
    images = IMAGES / 255.0
    copies = rotated(images, 7)
    assert copies.shape == (6, 3, 8, 8, 3)
    np.testing.assert_array_equal(copies[:, 0], images)
    for place, angle in ((1, 7), (2, -7)):
        for image, copy in zip(images, copies[:, place], strict=True):
            plain = ndimage.rotate(image, angle, reshape=False)
            np.testing.assert_allclose(copy, plain.clip(0, 1), atol=1e-12)
    white = rotated(np.full((1, 8, 8, 1), 255, np.uint8), 45)
    assert white.dtype == np.uint8
    assert (white[0, 1:, 0, 0] == 0).all()
    assert (white[0, 1:, 3:5, 3:5] == 255).all()


def test_bytes_do_not_wrap_where_splines_overshoot():
    edge = np.zeros((1, 8, 8), np.uint8)
    edge[0, :, 4:] = 255
    turned, plain = rotated(edge, 10)[0, 1], ndimage.rotate(edge[0] / 255.0, 10, reshape=False)
    assert plain.max() > 1.02
    assert plain.min() < -0.02
    np.testing.assert_allclose(turned, 255 * plain.clip(0, 1), atol=0.51)


def test_angles_are_three_or_all_whole_ones():
    assert angles(15).tolist() == [0, 15, -15]
    assert angles(0).tolist() == angles(0, dense=True).tolist() == [0]
    assert sorted(angles(3, dense=True).tolist()) == [-3, -2, -1, 0, 1, 2, 3]


# ---------------------------------------------------------------------------- a training pipeline's


def mirrored_and_dimmed(batch, rng):
    """All mirrors are drawn before any brightness, as pipelines do."""
    mirror = rng.random((len(batch), 1, 1, 1)) < 0.5
    dimmed = batch * rng.uniform(0.5, 1.0, size=(len(batch), 1, 1, 1))
    return np.where(mirror, dimmed[:, :, ::-1], dimmed).astype(batch.dtype)


def test_draws_of_a_pipeline_depend_on_their_keys_alone():
    labels = np.array([0, 1, 0, 1, 0, 1])

    def ask(target, rows=slice(None), n_draws=150, **options):
        of_rows = IMAGES[rows], labels[rows], RECORDS[rows]
        return random_augmentation_labels(target, *of_rows, mirrored_and_dimmed, n_draws, 3, **options)

    whole = first_pixel(b=90.0)
    correct = ask(whole)
    assert correct.shape == (6, 150)
    assert np.bincount(whole.records).tolist() == [150] * 6
    seen = whole.seen.reshape(6, 150, 8, 8, 3)
    assert len(np.unique(seen[0].reshape(150, -1), axis=0)) > 140
    for batch_size in (1, 70, 400):
        again = first_pixel(b=90.0)
        np.testing.assert_array_equal(ask(again, batch_size=batch_size), correct)
        np.testing.assert_array_equal(again.seen.reshape(seen.shape), seen)
    np.testing.assert_array_equal(ask(first_pixel(b=90.0), slice(4, None)), correct[4:])
    np.testing.assert_array_equal(ask(first_pixel(b=90.0), n_draws=70), correct[:, :70])


# ------------------------------------------------------------------------------------------ errors


def test_what_cannot_be_is_refused():
    labels = np.zeros(6, int)
    target = first_pixel()
    with pytest.raises(InputError, match="Expected a shift of less than the image, found 8 pixels for images of 8 x 8"):
        translation_labels(target, IMAGES, labels, RECORDS, 8)
    with pytest.raises(InputError, match="Expected a distance from 0 pixels on, found -1"):
        translation_labels(target, IMAGES, labels, RECORDS, -1)
    with pytest.raises(InputError, match="Expected images, records first, with rows and columns on axes 1 and 2"):
        translation_labels(target, IMAGES.reshape(6, -1), labels, RECORDS, 1)
    for angle, dense in ((200, False), (-1, False), (2.5, True)):
        with pytest.raises(InputError, match=r"Expected an angle in 0\.\.180 degrees, a whole one if dense"):
            rotation_labels(target, IMAGES, labels, RECORDS, angle, dense=dense)
    for wrong in (lambda x, rng: x[:1], lambda x, rng: x / 255.0):
        with pytest.raises(InputError, match="Expected the augmentation to return an array of uint8 of shape"):
            random_augmentation_labels(target, IMAGES, labels, RECORDS, wrong, 5, 0)
    assert not target.queries
