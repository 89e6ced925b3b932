"""Rotations: which turned copies of an image still get its true class."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.core.errors import InputError
from vestige.core.targets import LabelTarget
from vestige.signals.label_only.copies import correct_copies
from vestige.signals.label_only.translations import check_images


def angles(degrees: float | int, *, dense: bool = False) -> Float[np.ndarray, " copy"]:
    """Return the angles of a magnitude: none at all, then one way and the other.

    Args:
        degrees: The magnitude.
        dense: Whether to take every whole angle up to it as well.

    Returns:
        3 angles [degrees], or `2 degrees + 1` dense ones; one for magnitude 0.

    Raises:
        InputError: The magnitude is below 0 or above 180, or no whole number for dense angles.

    Example:
        >>> angles(4.0), angles(2, dense=True)
        (array([ 0.,  4., -4.]), array([ 0.,  1., -1.,  2., -2.]))
    """
    if not 0 <= degrees <= 180 or (dense and degrees != int(degrees)):
        raise InputError(f"Expected an angle in 0..180 degrees, a whole one if dense, found {degrees:g}.")
    sizes = range(1, int(degrees) + 1) if dense else [degrees] if degrees else []
    return np.array([0.0, *(sign * size for size in sizes for sign in (1.0, -1.0))])


def rotated(
    images: np.ndarray,
    degrees: float | int,
    *,
    dense: bool = False,
    low: float = 0.0,
    high: float | None = None,
    axes: tuple[int, int] = (1, 2),
) -> np.ndarray:
    """Return every image turned both ways, after itself: about its centre, of the same size, with black corners.

    Args:
        images: Record x row x column x channel, or any other order, records first.
        degrees: As `angles`.
        dense: As `angles`.
        low: Least value of a pixel. Cubic splines overshoot, and what is beyond is moved into the range.
        high: Largest one; 255 for integers and 1 for others if omitted.
        axes: Where rows and columns are: (2, 3) if channels come first.

    Returns:
        Record x copy x the rest, the record itself first and as it is, in the type of the images.

    Raises:
        InputError: There are no such axes, or the angle is out of range.

    Example:
        >>> image = np.zeros((1, 3, 3), np.uint8)
        >>> image[0, 0, 1] = 200
        >>> rotated(image, 90)[0, 1]
        array([[  0,   0,   0],
               [200,   0,   0],
               [  0,   0,   0]], dtype=uint8)

    Source:
        Choquette-Choo et al. 2021, section 3.3: the image and two rotations. Their published code takes all whole
        angles (`dense`) and, as here, cubic splines and black corners. Deviation: values are kept in the range.
    """
    from scipy import ndimage  # a tenth of a second to import

    check_images(images, axes)
    by = angles(degrees, dense=dense)
    is_whole = images.dtype.kind in "biu"
    highest = (255.0 if is_whole else 1.0) if high is None else high
    work = images.astype(np.float32) if is_whole or images.dtype == np.float16 else images
    copies = np.empty((len(images), by.size, *images.shape[1:]), dtype=images.dtype)
    copies[:, 0] = images  # splines would move its last bits
    for i, angle in enumerate(by[1:].tolist(), 1):
        # Axes in this order turn an image as ndimage.rotate turns a single one.
        turned = ndimage.rotate(work, angle, axes=axes[::-1], reshape=False, order=3, mode="constant", cval=0.0)
        copies[:, i] = np.rint(turned).clip(low, highest) if is_whole else turned.clip(low, highest)
    return copies


def rotation_labels(
    target: LabelTarget,
    images: np.ndarray,
    labels: Int[np.ndarray, " record"],
    records: Int[np.ndarray, " record"],
    degrees: float | int,
    *,
    batch_size: int | None = None,
    **how: Any,
) -> Bool[np.ndarray, "record copy"]:
    """Ask about every image and its turned copies, 3 queries each; 0 degrees is the gap attack.

    Args:
        target: What answers with labels.
        images: As `rotated`.
        labels: True classes.
        records: Which record of the audit each is, for the ledger.
        degrees: As `angles`.
        batch_size: Queries per batch; as `correct_copies`.
        how: Further arguments of `rotated`.

    Returns:
        Whether each copy gets the true class, the record itself first.

    Raises:
        InputError: As `rotated`, or lengths do not fit.
        TargetError: The target does not answer.
        BudgetError: There is no budget for a batch; earlier ones were asked.

    Example:
        >>> class Top:
        ...     n_classes = 2
        ...
        ...     def labels(self, inputs, records):
        ...         return (inputs[:, 0, 1] > 0.5).astype(int)
        >>> image = np.array([[[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]])
        >>> rotation_labels(Top(), image, np.array([1]), np.array([0]), 90).astype(int)
        array([[1, 0, 0]])

    Source:
        Choquette-Choo et al. 2021, section 3.3.
    """
    check_images(images, how.get("axes", (1, 2)))
    n_copies = angles(degrees, dense=how.get("dense", False)).size

    def make(rows: np.ndarray, first: int, last: int) -> Any:
        return rotated(images[rows], degrees, **how)[:, first:last].reshape(-1, *images.shape[1:])

    return correct_copies(target, images, labels, records, n_copies, make, batch_size=batch_size)
