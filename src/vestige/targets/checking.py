"""Answers that are no answers, refused with the row."""

import numpy as np

from vestige.core.errors import TrainingError


def checked(answers: np.ndarray, n_records: int, n_classes: int, what: str) -> np.ndarray:
    """Return answers that are a finite number per record and class.

    Raises:
        TrainingError: They are not.
    """
    if answers.shape != (n_records, n_classes):
        raise TrainingError(
            f"Expected {what} of shape {(n_records, n_classes)}, a row per record and a column per class, found "
            f"{answers.shape}; give the model as many outputs as there are classes."
        )
    if not np.isfinite(answers).all():
        row = int(np.flatnonzero(~np.isfinite(answers).all(axis=1))[0]) + 1
        raise TrainingError(f"Expected finite {what}, found NaN or infinity, first for record {row:,}.")
    return answers
