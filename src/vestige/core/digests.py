"""SHA-256 of columns of any kind, so that what was computed from them is never taken for something else."""

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from vestige.core.columns import is_sparse


@runtime_checkable
class _Digest(Protocol):
    def update(self, data: Any, /) -> None: ...


def update_with_columns(digest: _Digest, columns: Mapping[str, Any]) -> None:
    """Let a digest see every column under its name, with its type and shape.

    Args:
        digest: What `hashlib` gives.
        columns: Arrays by name; of None nothing is seen, of objects the type and the text.
    """
    for name, values in columns.items():
        if values is not None:
            digest.update(f"{name!r} {values.dtype} {values.shape} ".encode())
            if values.dtype == object:
                digest.update("".join(map(_with_type, values.flat)).encode("utf-8", "surrogatepass"))
            elif values.size:
                digest.update(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)


def _with_type(value: Any) -> str:
    """An object as text that no other text and no other type gives."""
    text = str(value)
    return f"{type(value).__qualname__} {len(text)} {text} "


def columns_of_inputs(inputs: Any) -> dict[str, Any]:
    """Return what a model was given, an array, a sparse matrix or a DataFrame, as columns by name."""
    if is_sparse(inputs):
        from vestige.core.sparse import columns_of_sparse

        return columns_of_sparse(inputs)
    if not hasattr(inputs, "columns"):
        return {"inputs": inputs}
    columns = {}
    for i, name in enumerate(inputs.columns):
        values = inputs.iloc[:, i]
        what = f"input {i} {name!r} {values.dtype}"
        if hasattr(values, "cat"):  # those without a record matter too, and their order
            columns[f"{what} {values.cat.ordered}"] = values.cat.categories.to_numpy()
            values = values.cat.codes
        columns[what] = values.to_numpy()
    return columns


def digest_of_columns(columns: Mapping[str, Any]) -> str:
    """Return the SHA-256 of columns, in hexadecimal.

    Example:
        >>> a = digest_of_columns({"x": np.arange(3)})
        >>> a == digest_of_columns({"x": np.arange(3)}), a == digest_of_columns({"y": np.arange(3)})
        (True, False)
    """
    digest = hashlib.sha256()
    update_with_columns(digest, columns)
    return digest.hexdigest()
