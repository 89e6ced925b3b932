"""What a model answered, one type per kind of answer, so that no kind can be taken for another.

A bare array is never guessed at: logits are not probabilities, and a softmax is never applied twice.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from vestige.core.batches import alone
from vestige.core.blocks import ArrayTable, BlockTable, SecondOfTwo
from vestige.core.columns import as_array, index_of, refuse_missing
from vestige.core.errors import InputError

_AXES = {1: "one number per record", 2: "records x classes", 3: "records x inputs of the layer x classes"}


@dataclass(frozen=True, eq=False)
class _Output:
    """One kind of answer for every record.

    Of a pandas object, `index` names the records and `columns` the classes; both are None for anything else. `notes`
    say what was assumed. One column of logits or probabilities is that of the second of two classes.
    """

    values: Any
    index: Any = field(default=None, init=False, repr=False)
    columns: Any = field(default=None, init=False, repr=False)
    notes: tuple[str, ...] = field(default=(), init=False, repr=False)
    kind: ClassVar[str] = ""
    n_axes: ClassVar[int] = 1

    def __post_init__(self) -> None:
        values, note = alone(self.values, self.kind, self.n_axes)
        if np.ma.isMaskedArray(values):
            raise InputError(f"Expected {self.kind} for every record, found a masked array; leave records out.")
        object.__setattr__(self, "index", index_of(values))
        object.__setattr__(self, "columns", _names_of_columns(values))
        if isinstance(values, np.ndarray) or not isinstance(values, BlockTable):
            values = ArrayTable(_array(values, self.kind), self.kind)
        if values.dtype.kind not in "fiub" and self.kind != "predicted labels":
            raise InputError(
                f"Expected numbers as {self.kind}, found dtype {values.dtype} in {values.name}; "
                "convert them to float32 or float64."
            )
        if self.n_axes == 2 and len(values.shape) == 2 and values.shape[1] == 1:
            values = SecondOfTwo(values, first=0.0 if self.kind == "logits" else None)
            object.__setattr__(self, "columns", None)
            note = f"Warning: one column of {self.kind} was read as the second of two classes (label 1)."
        self._check_shape(values)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "notes", (note,) if note else ())

    def _check_shape(self, values: BlockTable) -> None:
        if len(values.shape) != self.n_axes:
            axes = _AXES[self.n_axes]
            binary = (
                {"probabilities": "[1 - p, p]", "logits": "[np.zeros(len(z)), z]"} if len(values.shape) == 1 else {}
            )
            cure = f"; for a binary model give np.column_stack({binary[self.kind]})" if self.kind in binary else ""
            raise InputError(f"Expected {self.kind} as {axes}, found shape {values.shape} in {values.name}{cure}.")

        if self.n_axes == 2 and values.shape[1] < 2:
            raise single_column(self.kind, values)

    @property
    def table(self) -> BlockTable:
        """The values, readable in blocks of rows."""
        table: BlockTable = self.values
        return table

    @property
    def n_records(self) -> int:
        """Number of rows."""
        return self.table.shape[0]

    def whole(self) -> np.ndarray:
        """Return all values at once, as an array."""
        blocks = list(self.table.blocks(max(1, self.n_records)))
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks or [np.empty(self.table.shape)])


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


class GradientNorms(_Output):
    """L2 norm of the gradient of each record's own loss, over all parameters: at least 0."""

    kind = "gradient norms"


class LastLayerGradients(_Output):
    """Gradient of each record's own loss in the last layer's weights, records x inputs of the layer x classes."""

    kind = "gradients of the last layer"
    n_axes = 3


class PredictedLabels(_Output):
    """The class a label-only interface answered, one per record, coded as the labels are."""

    kind = "predicted labels"


Output = Logits | Probabilities | Loss | Phi | GradientNorms | LastLayerGradients | PredictedLabels


def single_column(kind: str, values: BlockTable) -> InputError:
    """Return what to raise of a column that is not that of the second of two classes, or of none."""
    return InputError(
        f"Expected {kind} for at least 2 classes, found {min(1, values.shape[1])} column in {values.name}; "
        "name the class of a single probability column (--positive COLUMN=CLASS), "
        "or give one column per class. Regression is not supported."
    )


def _names_of_columns(values: Any) -> tuple[Any, ...] | None:
    """Names of a DataFrame's columns; None if it only counts them."""
    columns = getattr(values, "columns", None)
    if index_of(values) is None or columns is None:
        return None
    is_range = hasattr(columns, "start") and hasattr(columns, "step")
    return None if is_range and list(columns) == list(range(len(columns))) else tuple(columns)


def _array(values: Any, kind: str) -> np.ndarray:
    """An array; of pandas' nullable numbers and categories, and of objects that are numbers or rows of such too."""
    array = as_array(values)
    if hasattr(values, "to_numpy") and hasattr(values, "isna"):
        refuse_missing(np.asarray(values.isna()), kind)
    if array.dtype != object or kind == "predicted labels":
        return array
    if array.ndim == 1 and array.size and all(np.ndim(row) == 1 for row in array):
        array = values = as_array([as_array(row) for row in array])
    return _numbers(values, array)


def _numbers(values: Any, array: np.ndarray) -> np.ndarray:
    """Objects as the narrowest numbers that hold every column; as they are, if some are no numbers."""
    if not all(isinstance(v, bool | int | float | np.bool_ | np.number) for v in array.flat):
        return array
    dtypes = list(getattr(values, "dtypes", [])) if array.ndim > 1 else [getattr(values, "dtype", None)]
    known = [getattr(dtype, "numpy_dtype", dtype) for dtype in dtypes]
    if known and all(isinstance(dtype, np.dtype) and dtype.kind != "O" for dtype in known):
        return array.astype(np.result_type(*known))
    return array.astype(np.float64)
