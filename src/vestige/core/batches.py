"""Arrays from what training code has at hand: lists of batches, a trainer's outputs, loaders, data sets, generators."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from vestige.core.columns import as_array, in_memory, is_sparse
from vestige.core.errors import InputError
from vestige.core.messages import few

_LOOKED_AT = 4  # of a list: what its first entries are, so are the others


def named_part(values: Any, *names: str) -> Any:
    """Return what a mapping or an object, such as a trainer's output, holds under the first of these names; or None."""
    if isinstance(values, Mapping):
        return next((values[name] for name in names if values.get(name) is not None), None)
    if values is None or hasattr(values, "shape"):
        return None
    parts = [getattr(values, name, None) for name in names]
    return next((part for part in parts if part is not None and not callable(part)), None)


def _holds_arrays(values: Any) -> bool:
    """Whether these are no rows of numbers but arrays, or objects that hold some."""
    if isinstance(values, list | tuple):
        return any(_holds_arrays(part) for part in values[:_LOOKED_AT])
    is_array = hasattr(values, "shape") and not isinstance(values, np.generic)
    return is_array or isinstance(values, Mapping) or named_part(values, "logits") is not None


def says_logits(values: Any) -> bool:
    """Whether a trainer's output, or the first of several batches, calls what it holds logits."""
    first = values[0] if isinstance(values, list | tuple) and values else values
    return any(named_part(part, "logits") is not None for part in (values, first))


def alone(values: Any, kind: str, n_axes: int) -> tuple[Any, str]:
    """Return one array of what holds it, or its batches joined; and what a user should know of the choice, or nothing.

    Args:
        values: An array, or what `in_memory` makes one of; batches or rows of such in a list; a mapping or an object
            with `logits` (or what `kind` is) or `predictions`; several outputs, of which one has as many axes.
        kind: What is wanted, as in messages: `logits`, `labels`.
        n_axes: Axes of the array.

    Raises:
        InputError: Several arrays could be meant, or none.

    Example:
        >>> alone([np.zeros((2, 3)), np.ones((1, 3))], "logits", 2)[0].shape
        (3, 3)
        >>> alone((np.zeros((2, 3)), np.zeros((2, 8, 16))), "logits", 2)[1]
        'Warning: of 2 outputs of shapes (2, 3), (2, 8, 16) the one with 2 axes was read as logits.'
    """
    name = kind.replace(" ", "_")
    part = named_part(values, name, "predictions")
    if part is not None:
        return alone(part, kind, n_axes)
    if isinstance(values, Mapping):
        cure = f"give the array alone, such as outputs[{name!r}]"
        raise InputError(f"Expected {kind} as one array, found a mapping with {few(list(map(str, values)))}; {cure}.")
    if not (isinstance(values, list | tuple) and _holds_arrays(values)):
        return in_memory(values), ""
    each = [alone(part, kind, n_axes) for part in values]
    parts, note = [part for part, _ in each], next((said for _, said in each if said), "")
    shapes = [tuple(getattr(part, "shape", ())) for part in parts]
    is_named = any(hasattr(part, "columns") for part in parts)  # whose columns may be in several orders
    if len({shape[1:] for shape in shapes}) == 1 and {len(shape) for shape in shapes} == {n_axes} and not is_named:
        return np.concatenate([as_array(part) for part in parts]), note
    if set(shapes) == {shapes[0]} and len(shapes[0]) == n_axes - 1:
        return np.stack([as_array(part) for part in parts]), note  # a list of rows
    fitting = [part for part, shape in zip(parts, shapes, strict=True) if len(shape) == n_axes]
    listed = few([str(shape) for shape in shapes], 4)
    if len(fitting) != 1 or any(shape and shape[0] != len(fitting[0]) for shape in shapes):
        raise InputError(
            f"Expected {kind} as one array, found {len(parts)} of shapes {listed}; give the {kind} alone, such as "
            "outputs[0], and batches joined: np.concatenate(batches)."
        )
    of = f"of {len(parts)} outputs of shapes {listed} the one with {n_axes} axes"
    return fitting[0], f"Warning: {of} was read as {kind}."


def bring_to_memory(holder: Any, *names: str) -> None:
    """Replace columns of a frozen value, while it is made, by arrays: tensors and lists of batches too."""
    for name in names:
        object.__setattr__(holder, name, alone(getattr(holder, name), name, 1)[0])


def inputs_of(values: Any, n_records: int | None = None) -> Any:
    """Return inputs as an array or, where they are one, a DataFrame; batches are joined, where they have `n_records`.

    Raises:
        InputError: They are neither.
    """
    values = in_memory(values)
    if hasattr(values, "columns"):
        return values
    if is_sparse(values):
        from vestige.core.sparse import as_rows

        return as_rows(values)
    in_parts = isinstance(values, list | tuple) and len(values) > 0
    if in_parts and all(hasattr(part, "shape") and not hasattr(part, "columns") for part in values):
        parts = [as_array(in_memory(part)) for part in values]
        is_rows = len({part.shape for part in parts}) == 1 and len(parts) == n_records
        values = np.stack(parts) if is_rows else _joined(parts)
    inputs = as_array(values)
    if inputs.ndim == 0:
        raise InputError(
            f"Expected inputs as an array, records first, or a DataFrame, found {type(values).__name__}; give an array."
        )
    return inputs


def is_stream(values: Any) -> bool:
    """Whether these are no values but give some, one after the other: a loader, a data set or a generator."""
    if hasattr(values, "shape") or hasattr(values, "__array__") or isinstance(values, Sequence | Mapping | set):
        return False
    return hasattr(values, "__iter__") or (hasattr(values, "__getitem__") and hasattr(values, "__len__"))


def read_stream(stream: Any, n_records: int | None = None) -> tuple[Any, Any]:
    """Return inputs, and labels if there are some, of a loader, a data set or a generator. It is read once, in order.

    Args:
        stream: Gives `(inputs, labels)` or inputs, of one record or, a loader always, of a batch.
        n_records: How many there are, if that is known; of inputs without labels it tells records from batches.

    Raises:
        InputError: It gives something else, or nothing.

    Example:
        >>> read_stream((np.full(2, k), k) for k in range(3))[1]
        array([0, 1, 2])
    """
    tensors = getattr(stream, "tensors", None)  # of a TensorDataset
    if isinstance(tensors, tuple) and len(tensors) <= 2:
        return tensors[0], tensors[1] if len(tensors) == 2 else None
    by_batch = getattr(stream, "batch_size", None) is not None
    items = stream if hasattr(stream, "__iter__") else (stream[i] for i in range(len(stream)))
    inputs, labels = _columns_of(items, type(stream).__name__)
    if labels and np.ndim(labels[0]):
        return _joined(inputs), _joined(labels)
    inputs = inputs_of(inputs, None if by_batch else len(labels) or n_records)
    return inputs, np.stack(labels) if labels else None


def _columns_of(items: Iterable[Any], what: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    inputs: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    for item in items:
        is_several = isinstance(item, list | tuple) and any(np.ndim(in_memory(part)) for part in item[:1])
        given = tuple(item) if is_several else (item,)
        if len(given) > 2 or isinstance(item, Mapping) or (labels and len(given) == 1):
            found = f"{type(item).__name__} of {len(item) if hasattr(item, '__len__') else 1}"
            raise InputError(
                f"Expected (inputs, labels) from {what}, found {found}; give one that yields pairs, or arrays as "
                "Records(inputs, labels)."
            )
        inputs.append(as_array(in_memory(given[0])))
        labels += [as_array(in_memory(given[1]))] if len(given) == 2 else []
    if not inputs:
        raise InputError(f"Expected records from {what}, found none; a generator can be read only once.")
    return inputs, labels


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    """Parts as one array; each is let go as soon as it was copied, so that all are not held twice."""
    if len({part.shape[1:] for part in parts}) > 1 or not parts[0].ndim:
        found = few(sorted({str(part.shape) for part in parts}), 4)
        raise InputError(f"Expected records of one shape, found {found}; bring them to one shape.")
    whole = np.empty((sum(map(len, parts)), *parts[0].shape[1:]), np.result_type(*{part.dtype for part in parts}))
    start = 0
    while parts:
        part = parts.pop(0)
        whole[start : start + len(part)] = part
        start += len(part)
    return whole
