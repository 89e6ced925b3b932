"""Views of images against padding and cutting out, and images that cannot have any."""

import numpy as np
import pandas as pd
import pytest

from vestige.core.errors import InputError
from vestige.core.views import MirrorAndShifts, with_views


def padded(images: np.ndarray, shift: int, mirror: bool) -> list[np.ndarray]:
    """As the authors' code makes them of records x rows x columns x channels: mirror, pad, cut out."""
    around = ((0, 0), (shift, shift), (shift, shift), (0, 0))
    _, height, width, _ = images.shape
    return [
        np.pad(images[:, :, ::flip], around, mode="reflect")[:, down : down + height, right : right + width]
        for flip in ((1, -1) if mirror else (1,))
        for down in range(2 * shift + 1)
        for right in range(2 * shift + 1)
    ]


def as_rows(views: list[np.ndarray]) -> list[bytes]:
    return sorted(view.tobytes() for view in views)


@pytest.mark.parametrize(("shift", "mirror", "n_views"), [(1, True, 18), (0, True, 2), (2, True, 50), (1, False, 9)])
def test_views_are_the_image_mirrored_padded_by_reflection_and_cut_out(shift, mirror, n_views):
    images = np.random.default_rng(0).integers(0, 256, (5, 6, 7, 3)).astype(np.uint8)
    views = MirrorAndShifts(shift, mirror)
    found = [images, *views.others(images)]
    assert len(found) == views.n_views == n_views
    assert as_rows(found) == as_rows(padded(images, shift, mirror))
    assert {view.dtype for view in found} == {np.dtype(np.uint8)}
    assert len(set(as_rows(found))) == n_views


@pytest.mark.parametrize("channels", [None, "first", "last"])
def test_channels_stay_where_they_are(channels):
    images = np.random.default_rng(0).normal(size=(4, 6, 7, 2))
    first = np.moveaxis(images, 3, 1)
    expected = list(MirrorAndShifts(1).others(images))
    if channels != "last":
        moved = [np.moveaxis(view, 1, 3) for view in MirrorAndShifts(1, channels=channels).others(first)]
        np.testing.assert_array_equal(moved, expected)
    grey = list(MirrorAndShifts(1).others(images[..., 0]))
    np.testing.assert_array_equal(grey, [view[..., 0] for view in expected])


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (np.zeros((3, 5)), r"found shape \(3, 5\)"),
        (pd.DataFrame({"age": [1.0]}), "found a DataFrame"),
        (np.zeros((3, 3, 9, 3)), 'give channels="first" or "last"'),
        (np.zeros((3, 9, 9, 9)), 'give channels="first" or "last"'),
        (np.zeros((3, 9, 1, 3)), "more than 1 pixels each way"),
    ],
)
def test_what_is_no_image_is_refused(inputs, said):
    with pytest.raises(InputError, match=said):
        next(MirrorAndShifts(1).others(inputs))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shift": -1}, "0 pixels or more, found -1"),
        ({"shift": 0, "mirror": False}, "found neither"),
        ({"channels": "middle"}, "first or last, found 'middle'"),
    ],
)
def test_views_that_are_none_are_refused(options, said):
    with pytest.raises(InputError, match=said):
        MirrorAndShifts(**options)


def test_answers_to_views_stand_side_by_side():
    answers = np.arange(24.0, dtype=np.float32).reshape(3, 4, 2)  # view, record, class
    found = with_views(answers[0], iter(answers[1:]), 3)
    np.testing.assert_array_equal(found, answers.transpose(1, 0, 2))
    assert found.dtype == np.float32
