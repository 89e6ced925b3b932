"""What a store of signals holds: which models, asked about which records, and which variables were observed."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import numpy as np

from vestige.core.columns import column
from vestige.core.digests import digest_of_columns
from vestige.core.errors import InputError
from vestige.core.messages import few

AT_THE_END = 0
"""Epoch of a row that was observed when training had ended."""

MEMBER = "member"
"""The variable every store has: was this record in this model's training set?"""

DRAWN_TOGETHER = "drawn_together"
"""Of how many models in a row the training sets were drawn together, in what a store was `made_from`; 2 if omitted."""

_RESERVED = ("model", "epoch", "seed", "complete", "record", "query", "class", MEMBER)
_CHUNK_BYTES = 4 << 20  # one object of the store at most: cheap to fetch, cheap to lose
_BLOCK_BYTES = 128 << 20  # the same records of all models at most: what whoever reads by blocks holds


@dataclass(frozen=True, eq=False)
class ModelTable:
    """The model axis of a store: one row per model and epoch at which it was observed.

    Attributes:
        model: Number of the model, that of its row in the membership matrix.
        epoch: Epochs it was trained for when it was observed.
        seed: Seed of its training.

    Raises:
        InputError: The columns are no whole numbers or differ in length, or a model stands twice at one epoch.

    Example:
        >>> table = ModelTable([0, 0, 1], [10, 20, 20], [7, 7, 8])
        >>> len(table), table.named(1)
        (3, 'model 0 at epoch 20')
    """

    model: Any
    epoch: Any
    seed: Any

    def __post_init__(self) -> None:
        n = np.size(self.model)
        for name in ("model", "epoch", "seed"):
            values = column(getattr(self, name), name, n, "the model table")
            if values.dtype.kind not in "iu" or (n and (values.min() < 0 or values.max() > np.iinfo(np.int64).max)):
                raise InputError(
                    f"Expected whole numbers from 0 to 2^63 - 1 as {name} of the model table, found {values.dtype} "
                    f"values such as {values[0] if n else 'none'}; number the models and their seeds."
                )
            object.__setattr__(self, name, values.astype(np.int64))
        rows = list(zip(self.model.tolist(), self.epoch.tolist(), strict=True))
        if n == 0 or len(set(rows)) != n:
            twice = next((row for row in rows if rows.count(row) > 1), None)
            found = "none" if twice is None else f"model {twice[0]} twice at epoch {twice[1]}"
            raise InputError(f"Expected every model once per epoch in the model table, found {found}; leave one out.")

    def __len__(self) -> int:
        return int(self.model.size)

    def named(self, row: int) -> str:
        """Return what a message calls a row."""
        return f"model {self.model[row]} at epoch {self.epoch[row]}"

    def columns(self) -> dict[str, np.ndarray]:
        """Return the columns by name."""
        return {"model": self.model, "epoch": self.epoch, "seed": self.seed}


@dataclass(frozen=True)
class VariableSpec:
    """The type and the axes of a variable, beside those of models and records.

    Attributes:
        dtype: Of its numbers, such as `float32`.
        n_queries: How often each model was asked about each record; None if the variable has no such axis.
        n_classes: Entries per class; None if the variable has no such axis.

    Raises:
        InputError: The type is not one of booleans, whole numbers or floating-point numbers, or an axis is empty.

    Example:
        >>> VariableSpec("float32", n_queries=18, n_classes=10).dims
        ('model', 'record', 'query', 'class')
        >>> print(VariableSpec("float64"))
        float64 (model, record)
    """

    dtype: str
    _: KW_ONLY
    n_queries: int | None = None
    n_classes: int | None = None

    def __post_init__(self) -> None:
        try:
            dtype = np.dtype(self.dtype)
        except TypeError:
            dtype = np.dtype(object)
        if dtype.kind not in "biuf" or dtype.itemsize > 8:
            raise InputError(f"Expected a type of numbers such as float32 for a variable, found {self.dtype!r}.")
        object.__setattr__(self, "dtype", dtype.name)
        for name in ("n_queries", "n_classes"):
            size = getattr(self, name)
            if size is not None and size < 1:
                raise InputError(f"Expected at least 1 as {name} of a variable, found {size}; leave the axis out.")
            object.__setattr__(self, name, None if size is None else int(size))

    @property
    def sizes(self) -> dict[str, int]:
        """Axes after those of models and records, by name."""
        axes = {"query": self.n_queries, "class": self.n_classes}
        return {name: size for name, size in axes.items() if size is not None}

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of all axes."""
        return ("model", "record", *self.sizes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one record of one model."""
        return tuple(self.sizes.values())

    def chunk_records(self, n_models: int, n_records: int) -> int:
        """Return how many records of one model are one object of the store.

        At most 4 MB, and so few that the same records of all models are at most 128 MB: whoever reads all models
        block by block holds no more, and decodes every object once. Objects are of one size, so none is padding.

        Example:
            >>> VariableSpec("float32", n_classes=10).chunk_records(256, 50_000)
            12500
        """
        n_bytes = np.dtype(self.dtype).itemsize * int(np.prod(self.shape))
        most = max(1, min(_CHUNK_BYTES // n_bytes, _BLOCK_BYTES // (n_bytes * n_models)))
        n_chunks = -(-n_records // most)
        return -(-n_records // n_chunks)

    def __str__(self) -> str:
        sizes = self.sizes
        return f"{self.dtype} ({', '.join(f'{d} {sizes[d]}' if d in sizes else d for d in self.dims)})"


@dataclass(frozen=True, eq=False)
class SignalLayout:
    """Everything a store of signals is made for; a store made for anything else is refused.

    Attributes:
        models: Which models, in the order of the rows.
        member: Whether each record was in each model's training set, models x records.
        variables: What was observed, by name.
        ids: One id per record; None if records go by their row number.
        made_from: What else decides the signals, such as the digests of the records and of the models, as text.

    Raises:
        InputError: The shapes do not fit each other, or a name cannot be that of a variable.

    Example:
        >>> layout = SignalLayout(
        ...     ModelTable([0, 1], [20, 20], [7, 8]),
        ...     [[True, False, True], [False, True, False]],
        ...     {"logits": VariableSpec("float32", n_classes=10), "losses": VariableSpec("float64")},
        ...     ids=["anna", "ben", "cleo"],
        ... )
        >>> layout.n_records
        3
    """

    models: ModelTable
    member: Any
    variables: Mapping[str, VariableSpec]
    _: KW_ONLY
    ids: Any = None
    made_from: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        member = np.asarray(self.member)
        if member.dtype != bool or member.ndim != 2 or len(member) != len(self.models) or not member.size:
            raise InputError(
                f"Expected member as booleans of {len(self.models):,} models x records, found {member.dtype} of shape "
                f"{member.shape}; give one row of the membership matrix per row of the model table."
            )
        _check_variables(self.variables)
        object.__setattr__(self, "member", member)
        object.__setattr__(self, "made_from", {str(key): str(text) for key, text in self.made_from.items()})
        if self.ids is not None:
            object.__setattr__(self, "ids", _plain(column(self.ids, "ids", member.shape[1], "member")))

    @property
    def n_records(self) -> int:
        """Number of records."""
        return int(self.member.shape[1])

    def identity(self) -> dict[str, Any]:
        """Return what two layouts share if and only if they are the same, as text and numbers; without the models."""
        return {
            "n_records": self.n_records,
            "ids": "none" if self.ids is None else digest_of_columns({"ids": self.ids}),
            "member": digest_of_columns({"member": self.member}),
            "variables": {name: spec_as_dict(spec) for name, spec in self.variables.items()},
            "made_from": dict(self.made_from),
        }


@dataclass(frozen=True)
class Damage:
    """Records of one row of the store that cannot be read.

    Attributes:
        row: Row of the model table.
        variable: Which variable; `complete` if it is the mark that says that the row is whole.
        start: First record of the block.
        stop: Record after the last one of the block.
    """

    row: int
    variable: str
    start: int
    stop: int


def spec_as_dict(spec: VariableSpec) -> dict[str, Any]:
    """Return a specification as text and numbers."""
    return {"dtype": spec.dtype, "n_queries": spec.n_queries, "n_classes": spec.n_classes}


def all_variables(variables: Mapping[str, VariableSpec]) -> dict[str, VariableSpec]:
    """Return the variables of a store, membership among them."""
    return {MEMBER: VariableSpec("bool"), **variables}


def spans(start: int, stop: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the parts of a range that lie within one block of `size` each.

    Example:
        >>> list(spans(3, 11, 4))
        [(3, 4), (4, 8), (8, 11)]
    """
    while start < stop:
        end = min(stop, start - start % size + size)
        yield start, end
        start = end


def _check_variables(variables: Mapping[str, VariableSpec]) -> None:
    for name in variables:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in _RESERVED:
            raise InputError(
                f"Expected lower-case names of variables other than {few(_RESERVED)}, found {name!r}; rename it."
            )
    for axis in ("query", "class"):
        found = {name: spec.sizes[axis] for name, spec in variables.items() if axis in spec.sizes}
        if not variables or len(set(found.values())) > 1:
            sizes = few([f"{size} of {name}" for name, size in found.items()]) or "no variable"
            raise InputError(
                f"Expected variables with one size of the axis {axis}, found {sizes}; put the others in another store."
            )


def _plain(ids: np.ndarray) -> np.ndarray:
    """The same ids in the same type, however wide the array was that they came in."""
    return np.asarray(ids.tolist()) if ids.dtype.kind in "iufU" else ids
