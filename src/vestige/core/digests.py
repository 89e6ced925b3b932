"""SHA-256 of columns of any kind, so that what was computed from them is never taken for something else."""

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class _Digest(Protocol):
    def update(self, data: Any, /) -> None: ...


def update_with_columns(digest: _Digest, columns: Mapping[str, Any]) -> None:
    """Let a digest see every column under its name, with its type and shape.

    Args:
        digest: What `hashlib` gives.
        columns: Arrays by name; of None nothing is seen, of objects the text.
    """
    for name, values in columns.items():
        if values is not None:
            plain = values.astype(np.str_) if values.dtype == object else np.ascontiguousarray(values)
            digest.update(f"{name} {plain.dtype} {plain.shape}".encode())
            digest.update(plain.reshape(-1).view(np.uint8).data if plain.size else b"")


def columns_of_inputs(inputs: Any) -> dict[str, Any]:
    """Return what a model was given, an array or a DataFrame, as columns by name."""
    if hasattr(inputs, "columns"):
        return {f"input {name}": inputs[name].to_numpy() for name in inputs.columns}
    return {"inputs": inputs}


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
