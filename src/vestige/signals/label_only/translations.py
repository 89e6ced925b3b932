"""Translations: which shifted copies of an image still get its true class."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from vestige.core.errors import InputError
from vestige.core.targets import LabelTarget
from vestige.signals.label_only.copies import correct_copies


def shifts(distance: int) -> Int[np.ndarray, "copy axis"]:
    """Return the shifts of a distance: none at all, then every pair of whole numbers whose sizes sum to it.

    Args:
        distance: Sum of the shifts along rows and columns [pixels].

    Returns:
        `4 distance + 1` pairs, rows first; one for distance 0.

    Raises:
        InputError: The distance is below 0.

    Example:
        >>> shifts(1).tolist()
        [[0, 0], [-1, 0], [0, -1], [0, 1], [1, 0]]
    """
    if distance < 0:
        raise InputError(f"Expected a distance from 0 pixels on, found {distance}.")
    rows = range(-distance, distance + 1)
    around = [(i, j) for i in rows for j in sorted({abs(i) - distance, distance - abs(i)})] if distance else []
    return np.array([(0, 0), *around])


def translated(images: np.ndarray, distance: int, *, axes: tuple[int, int] = (1, 2)) -> np.ndarray:
    """Return every image shifted every way, after itself; what comes in repeats the border.

    Args:
        images: Record x row x column x channel, or any other order, records first.
        distance: As `shifts`; less than the images' height and width.
        axes: Where rows and columns are: (2, 3) if channels come first.

    Returns:
        Record x copy x the rest, the record itself first, values of pixels as they are.

    Raises:
        InputError: The images are not so large, or have no such axes.

    Example:
        >>> translated(np.arange(3).reshape(1, 1, 3), 0).shape
        (1, 1, 1, 3)
        >>> translated(np.arange(9).reshape(1, 3, 3), 1)[0, 3]
        array([[0, 0, 1],
               [3, 3, 4],
               [6, 6, 7]])

    Source:
        Choquette-Choo et al. 2021, section 3.3; the repeated border is that of their published code.
    """
    rows, columns = axes
    check_images(images, axes)
    if distance >= min(images.shape[rows], images.shape[columns]) and distance:
        raise InputError(
            f"Expected a shift of less than the image, found {distance} pixels for images of {images.shape[rows]} x "
            f"{images.shape[columns]}; give a smaller one, or the axes of rows and columns."
        )
    copies = [
        _shifted(_shifted(images, int(by_row), rows), int(by_column), columns) for by_row, by_column in shifts(distance)
    ]
    return np.stack(copies, axis=1)


def translation_labels(
    target: LabelTarget,
    images: np.ndarray,
    labels: Int[np.ndarray, " record"],
    records: Int[np.ndarray, " record"],
    distance: int,
    *,
    axes: tuple[int, int] = (1, 2),
    batch_size: int | None = None,
) -> Bool[np.ndarray, "record copy"]:
    """Ask about every image and its shifted copies, `4 distance + 1` queries each; distance 0 is the gap attack.

    Args:
        target: What answers with labels.
        images: As `translated`.
        labels: True classes.
        records: Which record of the audit each is, for the ledger.
        distance: As `shifts`.
        axes: As `translated`.
        batch_size: Queries per batch; as `correct_copies`.

    Returns:
        Whether each copy gets the true class, the record itself first.

    Raises:
        InputError: As `translated`, or lengths do not fit.
        TargetError: The target does not answer.
        BudgetError: There is no budget for a batch; earlier ones were asked.

    Example:
        >>> class Left:
        ...     n_classes = 2
        ...
        ...     def labels(self, inputs, records):
        ...         return inputs[:, 1, 0]
        >>> image = np.array([[[0, 0, 0], [1, 0, 0], [0, 0, 0]]])
        >>> translation_labels(Left(), image, np.array([1]), np.array([0]), 1).astype(int)
        array([[1, 0, 0, 1, 0]])

    Source:
        Choquette-Choo et al. 2021, section 3.3.
    """
    check_images(images, axes)

    def make(rows: np.ndarray, first: int, last: int) -> Any:
        return translated(images[rows], distance, axes=axes)[:, first:last].reshape(-1, *images.shape[1:])

    return correct_copies(target, images, labels, records, len(shifts(distance)), make, batch_size=batch_size)


def check_images(images: np.ndarray, axes: tuple[int, int]) -> None:
    """Refuse what has no rows and columns.

    Raises:
        InputError: It has none.
    """
    if images.ndim < 3 or len({*axes}) != 2 or min(axes) < 1 or max(axes) >= images.ndim:
        raise InputError(
            f"Expected images, records first, with rows and columns on axes {axes[0]} and {axes[1]}, found shape "
            f"{images.shape}; give record x row x column x channel, or other axes."
        )


def _shifted(images: np.ndarray, by: int, axis: int) -> np.ndarray:
    places = np.arange(images.shape[axis]) - by
    return images.take(places.clip(0, images.shape[axis] - 1), axis=axis)
