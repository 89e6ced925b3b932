"""What a model answered, one type per kind of answer, so that no kind can be taken for another.

A bare array is never guessed at: logits are not probabilities, and a softmax is never applied twice.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from vestige.core.blocks import ArrayTable, BlockTable
from vestige.core.errors import InputError


@dataclass(frozen=True, eq=False)
class _Output:
    """One kind of answer for every record."""

    values: Any
    kind: ClassVar[str] = ""
    n_axes: ClassVar[int] = 1

    def __post_init__(self) -> None:
        values = self.values
        if np.ma.isMaskedArray(values):
            raise InputError(f"Expected {self.kind} for every record, found a masked array; leave records out.")
        if not isinstance(values, BlockTable):
            values = ArrayTable(np.asarray(values), self.kind)
        if values.dtype.kind not in "fiub" and self.kind != "predicted labels":
            raise InputError(
                f"Expected numbers as {self.kind}, found dtype {values.dtype} in {values.name}; "
                "convert them to float32 or float64."
            )
        if len(values.shape) != self.n_axes:
            axes = "records x classes" if self.n_axes == 2 else "one number per record"
            raise InputError(f"Expected {self.kind} as {axes}, found shape {values.shape} in {values.name}.")
        if self.n_axes == 2 and values.shape[1] < 2:
            raise InputError(
                f"Expected {self.kind} for at least 2 classes, found {values.shape[1]} column in {values.name}; "
                "name the class of a single probability column (--positive COLUMN=CLASS), "
                "or give one column per class. Regression is not supported."
            )
        object.__setattr__(self, "values", values)

    @property
    def table(self) -> BlockTable:
        """The values, readable in blocks of rows."""
        table: BlockTable = self.values
        return table

    @property
    def n_records(self) -> int:
        """Number of rows."""
        return self.table.shape[0]


class Logits(_Output):
    """Unnormalised class scores, records x classes [nats]: what stands before the softmax."""

    kind = "logits"
    n_axes = 2


class Probabilities(_Output):
    """Class probabilities, records x classes: each row in [0, 1] and summing to 1."""

    kind = "probabilities"
    n_axes = 2


class Loss(_Output):
    """Cross-entropy loss per record [nats], `-log p(true class)`: at least 0."""

    kind = "loss"


class Phi(_Output):
    """Logit-scaled confidence per record [nats], `log p - log(1 - p)` of the true class."""

    kind = "phi"


class PredictedLabels(_Output):
    """The class a label-only interface answered, one per record, coded as the labels are."""

    kind = "predicted labels"


Output = Logits | Probabilities | Loss | Phi | PredictedLabels
