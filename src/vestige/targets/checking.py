"""Answers that are no answers, refused with the row."""

import numpy as np

from vestige.core.errors import TargetError


def checked(answers: np.ndarray, n_records: int, n_classes: int, what: str) -> np.ndarray:
    """Return answers that are a finite number per record and class.

    Raises:
        TargetError: They are not.
    """
    check_shape(answers.shape, n_records, n_classes, what)
    check_finite(answers, what)
    return answers


def check_shape(shape: tuple[int, ...], n_records: int, n_classes: int, what: str) -> None:
    """Refuse answers that are not a number per record and class.

    Raises:
        TargetError: They are not.
    """
    if shape != (n_records, n_classes):
        raise TargetError(
            f"Expected {what} of shape {(n_records, n_classes)}, a row per record and a column per class, found "
            f"{shape}; give the model as many outputs as there are classes."
        )


def check_finite(answers: np.ndarray, what: str, first: int = 0) -> None:
    """Refuse NaN and infinity, naming the record; `first` is the number of the first one.

    Raises:
        TargetError: There is some.
    """
    finite = np.isfinite(answers).reshape(len(answers), -1).all(axis=1) if answers.size else np.empty(0, bool)
    if not finite.all():
        row = first + int(np.argmin(finite)) + 1
        raise TargetError(f"Expected finite {what}, found NaN or infinity, first for record {row:,}.")
