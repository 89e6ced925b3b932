"""One row of a signals store while it is written: blocks of any size in, whole chunks out."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from vestige.core.errors import InputError
from vestige.core.messages import few
from vestige.core.signals import VariableSpec

Put = Callable[[str, int, np.ndarray], None]
"""Writes a chunk: name of the variable, first record, values."""


class RowWriter:
    """Takes the signals of one model in the order of the records; holds one chunk per variable.

    What it writes does not depend on how the records were divided into blocks.

    Args:
        name: What the model is called in messages.
        variables: What is to be written.
        sizes: Records per chunk of each variable.
        n_records: Number of records.
        put: Writes a chunk.
    """

    def __init__(
        self, name: str, variables: Mapping[str, VariableSpec], sizes: Mapping[str, int], n_records: int, put: Put
    ) -> None:
        self._name = name
        self._variables = variables
        self._n_records = n_records
        self._put = put
        self._n_taken = dict.fromkeys(variables, 0)
        self._chunks = {key: np.empty((sizes[key], *spec.shape), spec.dtype) for key, spec in variables.items()}

    def append(self, values: Mapping[str, Any]) -> None:
        """Take the next records of some or all variables.

        Args:
            values: By variable: an array, records first, of exactly the type and axes of the variable.

        Raises:
            InputError: A variable is unknown, or of another type or shape, or there are more records than there
                should be.
            OutputError: The store cannot be written.
        """
        for key, block in values.items():
            self._take(key, self._checked(key, np.asarray(block)))

    def finish(self) -> None:
        """Write what is held.

        Raises:
            InputError: There are fewer records of a variable than there should be.
            OutputError: The store cannot be written.
        """
        for key, chunk in self._chunks.items():
            n = self._n_taken[key]
            if n != self._n_records:
                raise InputError(
                    f"Expected {key} of {self._n_records:,} records for {self._name}, found {n:,}; give every record."
                )
            if n % len(chunk):
                self._put(key, n - n % len(chunk), chunk[: n % len(chunk)])

    def _take(self, key: str, block: np.ndarray) -> None:
        chunk = self._chunks[key]
        while len(block):
            at = self._n_taken[key] % len(chunk)
            part = block[: len(chunk) - at]
            chunk[at : at + len(part)] = part
            block = block[len(part) :]
            self._n_taken[key] += len(part)
            if at + len(part) == len(chunk):
                self._put(key, self._n_taken[key] - len(chunk), chunk)

    def _checked(self, key: str, block: np.ndarray) -> np.ndarray:
        if key not in self._variables:
            raise InputError(f"Expected one of the variables {few(list(self._variables))}, found {key!r}.")
        spec = self._variables[key]
        if block.dtype != np.dtype(spec.dtype) or block.ndim == 0 or block.shape[1:] != spec.shape:
            raise InputError(
                f"Expected {key} of {self._name} as {spec.dtype} of shape {_shape('records', *spec.shape)}, found "
                f"{block.dtype} of shape {_shape(*block.shape)}; convert it, so that nothing is rounded unseen."
            )
        if self._n_taken[key] + len(block) > self._n_records:
            raise InputError(
                f"Expected {key} of {self._n_records:,} records for {self._name}, found at least "
                f"{self._n_taken[key] + len(block):,}; give every record once."
            )
        return block


def _shape(*sizes: Any) -> str:
    return " x ".join(str(size) for size in sizes) or "a single value"
