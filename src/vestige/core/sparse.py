"""Sparse matrices as inputs: rows in compressed form, which have a length and can be taken like those of an array."""

from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse

from vestige.core.columns import is_sparse


class _Rows:
    """What arrays have and SciPy's sparse ones lack."""

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    shape: tuple[int, int]

    def __len__(self) -> int:
        return int(self.shape[0])

    @property
    def nbytes(self) -> int:
        """Bytes of the numbers and their places."""
        return int(self.data.nbytes + self.indices.nbytes + self.indptr.nbytes)

    def copy(self) -> Any:
        """Return a copy to give to a model, of SciPy's own kind."""
        return plain(self).copy()


class SparseArray(_Rows, sparse.csr_array):
    """Rows of a sparse array."""


class SparseMatrix(_Rows, sparse.csr_matrix):
    """Rows of a sparse matrix; some libraries take no sparse array."""


def as_rows(inputs: Any) -> Any:
    """Return a sparse matrix or array as rows, each number once and in the order of the columns.

    Example:
        >>> rows = as_rows(sparse.csc_matrix(np.eye(3)))
        >>> len(rows), rows[[2, 0]].toarray().tolist()
        (3, [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    """
    kind = SparseMatrix if sparse.isspmatrix(inputs) else SparseArray
    rows = kind(inputs)
    if not rows.has_canonical_format:
        rows = kind(inputs, copy=True)  # the given one stays as it is
        rows.sum_duplicates()
    return rows


def stacked(first: Any, second: Any) -> Any:
    """Return the rows of both, the first ones first."""
    return as_rows(sparse.vstack([plain(first), plain(second)], format="csr"))


def plain(inputs: Any) -> Any:
    """Return rows as SciPy's own kind, which is what a model is given; anything else as it is."""
    if not isinstance(inputs, _Rows):
        return inputs
    kind = sparse.csr_matrix if isinstance(inputs, SparseMatrix) else sparse.csr_array
    return kind((inputs.data, inputs.indices, inputs.indptr), shape=inputs.shape)


def dense(inputs: Any) -> Any:
    """Return a sparse matrix as an array, and anything else as it is."""
    return inputs.toarray() if is_sparse(inputs) else inputs


def columns_of_sparse(inputs: Any) -> dict[str, np.ndarray]:
    """Return what there is of a sparse matrix, by name, for a digest."""
    places = {"indices": inputs.indices.astype(np.int64), "indptr": inputs.indptr.astype(np.int64)}
    return {f"inputs {inputs.shape} data": inputs.data, **places}


def bytes_of_rows(inputs: Any) -> list[bytes]:
    """Return the numbers of every row and their columns as bytes."""
    ends, indices = inputs.indptr.tolist(), inputs.indices.astype(np.int64)
    return [indices[start:end].tobytes() + inputs.data[start:end].tobytes() for start, end in pairwise(ends)]
