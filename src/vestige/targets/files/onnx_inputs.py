"""What an ONNX graph is given: records as arrays of the types and shapes that its inputs want."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from vestige.core.columns import refuse_missing
from vestige.core.errors import InputError, TargetError, UnsupportedModelError
from vestige.core.messages import few

_TYPES: dict[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(double)": np.dtype(np.float64),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(int64)": np.dtype(np.int64),
    "tensor(int32)": np.dtype(np.int32),
    "tensor(int16)": np.dtype(np.int16),
    "tensor(int8)": np.dtype(np.int8),
    "tensor(uint64)": np.dtype(np.uint64),
    "tensor(uint32)": np.dtype(np.uint32),
    "tensor(uint16)": np.dtype(np.uint16),
    "tensor(uint8)": np.dtype(np.uint8),
    "tensor(bool)": np.dtype(np.bool_),
    "tensor(string)": np.dtype(np.object_),
}


@dataclass(frozen=True)
class GraphInput:
    """An input of a graph.

    Attributes:
        name: Its name.
        dtype: What it takes; object for text.
        shape: Its axes, records first; None where any size will do.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]


def inputs_of(session: Any) -> tuple[GraphInput, ...]:
    """Return the inputs of a session.

    Raises:
        UnsupportedModelError: One takes no array that records could be.
    """
    found = []
    for entry in session.get_inputs():
        if entry.type not in _TYPES or not entry.shape:
            raise UnsupportedModelError(
                f"Expected inputs that are arrays of numbers or text, records first, found {entry.type} of shape "
                f"{entry.shape} as {entry.name}; export the model with such inputs."
            )
        shape = tuple(size if isinstance(size, int) else None for size in entry.shape)
        found.append(GraphInput(entry.name, _TYPES[entry.type], shape))
    return tuple(found)


def feeds(records: Any, wanted: Sequence[GraphInput]) -> Mapping[str, np.ndarray]:
    """Return what to give to each input.

    Args:
        records: An array, or a table whose columns have the names of the inputs if there are several.
        wanted: The inputs.

    Raises:
        InputError: There is no column for an input, or its values are not of its type.
        TargetError: The records have another shape.
    """
    is_table = hasattr(records, "columns")
    if len(wanted) == 1 and not (is_table and list(records.columns) == [wanted[0].name]):
        return {wanted[0].name: _fitted(records.to_numpy() if is_table else records, wanted[0])}
    if not is_table:
        names = few([entry.name for entry in wanted], 5)
        raise InputError(
            f"Expected a table with a column for each of the graph's inputs, {names}, found an array; give a DataFrame."
        )
    missing = [entry.name for entry in wanted if entry.name not in records.columns]
    if missing:
        raise InputError(
            f"Expected a column for each of the graph's inputs, found none for {few(missing, 5)}; name the columns as "
            "the model's inputs."
        )
    return {entry.name: _fitted(_column(records[entry.name], entry), entry) for entry in wanted}


def _column(column: Any, wanted: GraphInput) -> np.ndarray:
    values = np.asarray(column.to_numpy())
    return values.reshape(-1, 1) if len(wanted.shape) == 2 else values


def _fitted(values: np.ndarray, wanted: GraphInput) -> np.ndarray:
    sizes = zip(wanted.shape[1:], values.shape[1:], strict=False)
    if values.ndim != len(wanted.shape) or any(size not in (None, found) for size, found in sizes):
        shape = ", ".join("any" if size is None else str(size) for size in wanted.shape[1:])
        raise TargetError(
            f"Expected records of shape ({shape}) for the graph's input {wanted.name}, found {values.shape[1:]}; give "
            "the records as the model was exported for them."
        )
    return _text(values, wanted) if wanted.dtype.kind == "O" else _numbers(values, wanted)


def _text(values: np.ndarray, wanted: GraphInput) -> np.ndarray:
    if values.dtype.kind == "f":
        raise InputError(f"Expected text for the graph's input {wanted.name}, found {values.dtype}; give text.")
    if values.dtype.kind == "O":
        refuse_missing(np.array([v is None or v != v for v in values.flat], dtype=bool), wanted.name)
    return np.array([str(v) for v in values.flat], dtype=object).reshape(values.shape)


def _numbers(values: np.ndarray, wanted: GraphInput) -> np.ndarray:
    cure = "convert the column, or export the model for these values."
    if values.dtype.kind == "O":
        with suppress(TypeError, ValueError):
            values = values.astype(np.float64)
    if values.dtype.kind not in "biuf":
        raise InputError(f"Expected numbers for the graph's input {wanted.name}, found {values.dtype}; {cure}")
    if wanted.dtype.kind == "f":
        return np.ascontiguousarray(values, dtype=wanted.dtype)
    low, high = (0, 1) if wanted.dtype.kind == "b" else (np.iinfo(wanted.dtype).min, np.iinfo(wanted.dtype).max)
    whole = np.isfinite(values) & (values == np.floor(values)) & (values >= low) & (values <= high)
    if not whole.all():
        raise InputError(
            f"Expected whole numbers ({wanted.dtype}) for the graph's input {wanted.name}, found {values[~whole][0]}; "
            f"{cure}"
        )
    return np.ascontiguousarray(values, dtype=wanted.dtype)
