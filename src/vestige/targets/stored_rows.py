"""Training rows that a model stores: nearest neighbours, support vectors, and other copies of rows."""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vestige.core.columns import is_sparse
from vestige.core.errors import refusing
from vestige.core.messages import brief
from vestige.core.sparse import dense
from vestige.targets.opening import is_torch_module
from vestige.targets.refusals import array_of

_ROWS = ("_fit_X", "support_vectors_", "X_train_", "X_fit_", "X_")
"""Attributes of scikit-learn that hold training rows: of neighbours and their imputer, support vector machines,
Gaussian processes, kernel ridge and kernel PCA, label propagation."""

_METHODS = ("fit", "predict", "predict_proba", "transform", "answers")
_BLOCK_VALUES = 1 << 20


_Table = tuple[str, Any, bool]
"""Name and rows of what a part holds, and whether it is of a kind that keeps training rows."""


class StoredRows(NamedTuple):
    """Rows that a part of a model holds.

    Attributes:
        part: Class of the part, or its operator or tensor.
        n_rows: How many rows it holds, as they were or transformed.
        n_matching: How many of the given records are among them exactly as they are.
    """

    part: str
    n_rows: int
    n_matching: int


def stored_rows(classifier: Any, inputs: Any) -> tuple[StoredRows, ...]:
    """Find the training rows that a classifier carries with it.

    Parts of kinds that are known to keep rows are listed in any case; others where a record is found in them. Records
    whose features are all equal, such as an empty image, do not count for the latter: a row of zeros is often chance.

    Args:
        classifier: A fitted estimator with all that is in it, a torch module, or a `QueryableModel` of one.
        inputs: Records that it was trained on, an array or a DataFrame, of which the columns of numbers are looked for.
    """
    of_owners = (_tables_of_module(o) if is_torch_module(o) else _tables_of(o) for o in _parts(classifier))
    return _with_records(chain.from_iterable(of_owners), inputs)


def stored_rows_of_onnx(model: bytes | str | Path, inputs: Any) -> tuple[StoredRows, ...]:
    """Find the training rows in an ONNX graph: its support vectors, and constants in which records are found.

    Args:
        model: The content of the file, or where it is.
        inputs: As in `stored_rows`.

    Returns:
        What was found; nothing if the package onnx is not installed.

    Raises:
        InputError: It is no such graph.
    """
    try:
        import onnx
    except ImportError:
        return ()
    where = "the given bytes" if isinstance(model, bytes) else Path(model).name
    with refusing(
        Exception,
        lambda error: (
            f"Expected an ONNX graph in {where}, found {brief(f'{type(error).__name__}: {error}')}; export it again."
        ),
    ):
        whole = onnx.load_from_string(model) if isinstance(model, bytes) else onnx.load(model)
    return _with_records(chain.from_iterable(map(_tables_of_graph, _graphs(whole.graph))), inputs)


def _with_records(tables: Iterable[_Table], inputs: Any) -> tuple[StoredRows, ...]:
    """Tables of kinds that keep rows, and others with records in them.

    Records are looked for by the hash of their numbers as they are and as float32; rows of a model are compared with
    both, and in float32 where the records have no more digits.
    """
    if hasattr(inputs, "columns"):
        numeric = [i for i, dtype in enumerate(inputs.dtypes) if getattr(dtype, "kind", "O") in "biuf"]
        inputs = inputs.iloc[:, numeric].to_numpy(dtype=np.float64, na_value=np.nan)
    inputs = inputs if is_sparse(inputs) else np.asarray(inputs)
    width = math.prod(inputs.shape[1:]) if inputs.dtype.kind in "biuf" and inputs.ndim > 1 else 0
    records = np.empty((0, 1))
    if width:
        records = inputs if inputs.ndim == 2 else inputs.reshape(len(inputs), width)
    precision = np.dtype(np.float32) if records.dtype == np.float32 else None
    exact = _hashes(records)
    rounded = _hashes(records, np.dtype(np.float32)) if records.dtype.itemsize > 2 else exact
    varies = np.concatenate([np.empty(0, bool), *((b != b[:, :1]).any(axis=1) for b in _blocks(records))])
    listed: dict[tuple[str, int, int], StoredRows] = {}  # what several parts hold, one per class, counts once
    for part, rows, is_known in tables:
        n_rows, content, n_matching = int(rows.shape[0]), 0, 0
        if width and math.prod(rows.shape[1:]) == width:
            hashes = _hashes(rows, precision)
            matches = np.isin(exact, hashes) | np.isin(rounded, hashes)
            content = int(np.bitwise_xor.reduce(hashes))
            n_matching = int(np.count_nonzero(matches if is_known else matches & varies))
        if n_rows and (is_known or n_matching):
            listed.setdefault((part, n_rows, content), StoredRows(part, n_rows, n_matching))
    return tuple(listed.values())


def _hashes(rows: Any, rounded: np.dtype[Any] | None = None) -> np.ndarray:
    """A number per row, equal for equal numbers of any type; -0.0 is 0.0, and a missing value a missing value."""
    hashes = []
    for block in _blocks(rows):
        dense = array_of(block, "rows")
        with np.errstate(over="ignore"):
            numbers = dense if rounded is None else dense.astype(rounded)
        numbers = np.ascontiguousarray(numbers.reshape(len(dense), -1), dtype=np.float64) + 0.0
        numbers[np.isnan(numbers)] = np.nan
        hashes += [hash(row.tobytes()) for row in numbers]
    return np.array(hashes, dtype=np.int64)


def _blocks(rows: Any) -> Iterator[Any]:
    step = max(1, _BLOCK_VALUES // max(1, math.prod(rows.shape[1:])))
    for start in range(0, rows.shape[0], step):
        yield dense(rows[start : start + step])


# ------------------------------------------------------------------------------- estimators and modules


def _parts(classifier: Any) -> Iterator[Any]:
    """A fitted estimator and every one in its attributes, once each, whatever refers to whatever."""
    pending, seen = deque([classifier]), set()
    while pending:
        value = pending.popleft()
        if id(value) in seen:
            continue
        held: Iterable[Any] = ()
        if is_torch_module(value):
            yield value
        elif _is_estimator(value):
            yield value
            held = vars(value).values()
        elif isinstance(value, dict):
            held = value.values()
        elif isinstance(value, list | tuple):
            held = value
        elif isinstance(value, np.ndarray) and value.dtype.kind == "O":
            held = value.flat
        seen.add(id(value))
        pending += [v for v in held if not isinstance(v, str | bytes | int | float | None)]


def _is_estimator(value: Any) -> bool:
    return not isinstance(value, type) and hasattr(value, "__dict__") and any(hasattr(type(value), m) for m in _METHODS)


def _tables_of(owner: Any) -> Iterator[_Table]:
    part, values = type(owner).__name__, vars(owner)
    tables = {name: rows for name, value in values.items() if (rows := _rows_of(value)) is not None}
    has_known = any(name in tables for name in _ROWS)  # a tree beside the rows holds the same rows
    for name, rows in sorted(tables.items(), key=lambda table: table[0] not in _ROWS):
        yield part, rows, name in _ROWS or (_is_tree(values[name]) and not has_known)


def _is_tree(value: Any) -> bool:
    return hasattr(type(value), "query") and hasattr(type(value), "data")


def _rows_of(value: Any) -> Any:
    """Rows of numbers as an array or a sparse matrix; None of what holds none."""
    if _is_tree(value):
        value = np.asarray(value.data)
    elif hasattr(type(value), "tocsr"):
        return value.tocsr() if value.ndim == 2 and value.shape[0] and value.dtype.kind in "biuf" else None
    elif hasattr(type(value), "iloc") and hasattr(value, "columns"):
        numeric = all(getattr(dtype, "kind", "O") in "biuf" for dtype in value.dtypes)
        value = value.to_numpy(dtype=np.float64, na_value=np.nan) if numeric else None
    return value if _is_numbers(value) and value.ndim >= 2 and len(value) else None


def _is_numbers(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "biuf"


def _tables_of_module(module: Any) -> Iterator[_Table]:
    import torch

    for name, tensor in module.state_dict().items():
        is_dense = isinstance(tensor, torch.Tensor) and tensor.layout is torch.strided and not tensor.is_quantized
        if is_dense and tensor.dim() >= 2 and not tensor.is_complex():
            yield f"{type(module).__name__}, tensor {name}", tensor.detach(), False


# ------------------------------------------------------------------------------------------ ONNX graphs


def _graphs(graph: Any) -> Iterator[Any]:
    """A graph and those within its nodes, such as the body of a loop."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
                yield from _graphs(inner)


def _tables_of_graph(graph: Any) -> Iterator[_Table]:
    from onnx import numpy_helper

    for node in graph.node:
        if node.op_type in ("SVMClassifier", "SVMRegressor"):
            yield from _support_vectors(node)
    constants = [(tensor.name, tensor) for tensor in graph.initializer]
    for node in graph.node:
        constants += [(node.output[0], a.t) for a in node.attribute if a.HasField("t") and node.output]
    neighbours = _names_of_neighbours(graph)
    for name, tensor in constants:
        rows = numpy_helper.to_array(tensor)
        if _is_numbers(rows) and rows.ndim >= 2:
            yield (
                f"{'nearest neighbours, ' if name in neighbours else ''}constant {brief(name)}",
                rows,
                name in neighbours,
            )


def _names_of_neighbours(graph: Any) -> set[str]:
    """What records are compared with to find the nearest: there is no operator for it, but distances and TopK."""
    if not any(node.op_type == "TopK" for node in graph.node):
        return set()
    return {name for node in graph.node if node.op_type in ("Scan", "CDist") for name in node.input}


def _support_vectors(node: Any) -> Iterator[_Table]:
    attributes = {attribute.name: attribute for attribute in node.attribute}
    if "support_vectors" not in attributes:
        return
    numbers = np.array(attributes["support_vectors"].floats, dtype=np.float32)
    per_class = attributes["vectors_per_class"].ints if "vectors_per_class" in attributes else ()
    n_rows = sum(per_class) or (attributes["n_supports"].i if "n_supports" in attributes else 0)
    if n_rows and numbers.size and numbers.size % n_rows == 0:
        yield f"{node.op_type} operator", numbers.reshape(n_rows, -1), True
