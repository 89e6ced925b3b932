"""What a store of signals holds: which models, asked about which records, and which variables were observed."""

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, asdict, dataclass, field
from typing import Any

import numpy as np

from vestige.core.columns import column
from vestige.core.digests import digest_of_columns
from vestige.core.errors import ArtefactError

AT_THE_END = 0
"""Epoch of a row that was observed when training had ended."""

MEMBER = "member"
"""The variable every store has: was this record in this model's training set?"""

DRAWN_TOGETHER = "drawn_together"
"""Of how many models in a row the training sets were drawn together, in what a store was `made_from`; 2 if omitted."""

CURE = "remove it, so that it is computed again"
_CHUNK_BYTES = 4 << 20  # one object of the store at most: cheap to fetch, cheap to lose
_BLOCK_BYTES = 128 << 20  # the same records of all models at most: what whoever reads by blocks holds


@dataclass(frozen=True, eq=False)
class ModelTable:
    """The model axis of a store: one row per model and epoch at which it was observed.

    Attributes:
        model: Number of the model, that of its row in the membership matrix.
        epoch: Epochs it was trained for when it was observed.
        seed: Seed of its training.

    Example:
        >>> table = ModelTable([0, 0, 1], [10, 20, 20], [7, 7, 8])
        >>> len(table), table.named(1)
        (3, 'model 0 at epoch 20')
    """

    model: Any
    epoch: Any
    seed: Any

    def __post_init__(self) -> None:
        for name in ("model", "epoch", "seed"):
            object.__setattr__(self, name, np.asarray(getattr(self, name)).astype(np.int64))

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
        object.__setattr__(self, "dtype", np.dtype(self.dtype).name)

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
        return -(-n_records // -(-n_records // most))

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
    """

    models: ModelTable
    member: Any
    variables: Mapping[str, VariableSpec]
    _: KW_ONLY
    ids: Any = None
    made_from: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "member", np.asarray(self.member))
        if self.ids is not None:  # of the same type, however wide the array was that they came in
            ids = column(self.ids, "ids", self.n_records, "member")
            object.__setattr__(self, "ids", np.asarray(ids.tolist()) if ids.dtype.kind in "iufU" else ids)

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
            "variables": {name: asdict(spec) for name, spec in self.variables.items()},
            "made_from": dict(self.made_from),
        }

    def refuse_other(self, name: str, models: ModelTable, there: Mapping[str, Any]) -> None:
        """Refuse a store that was made for other models, records or variables.

        Args:
            name: What the store is called in messages.
            models: Its models.
            there: What it says that it was made for, as `identity`.

        Raises:
            ArtefactError: Naming what is there and what was expected.
        """
        wanted = self.models
        if len(models) != len(wanted):
            raise ArtefactError(
                f"{name}: Expected a store made for {len(wanted):,} models, found one for {len(models):,}; name "
                f"another folder, or {CURE}."
            )
        differ = np.any([models.columns()[key] != values for key, values in wanted.columns().items()], axis=0)
        for row in np.flatnonzero(differ)[:1].tolist():
            raise ArtefactError(
                f"{name}: Expected a store with {wanted.named(row)} of seed {wanted.seed[row]} in row {row}, found "
                f"{models.named(row)} of seed {models.seed[row]}; name another folder, or {CURE}."
            )
        for key, here in self.identity().items():
            if there[key] != here:
                raise ArtefactError(
                    f"{name}: Expected a store made for {_told(key, here)}, found one for {_told(key, there[key])}; "
                    f"name another folder, or {CURE}."
                )


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


def _told(key: str, value: Any) -> str:
    """One side of a mismatch, on one line."""
    if key == "n_records":
        return f"{value:,} records"
    if key == "variables":
        return ", ".join(f"{name} {VariableSpec(**spec)}" for name, spec in value.items())
    if key == "made_from":
        return ", ".join(f"{name} {text[:12]}" for name, text in value.items()) or "nothing named"
    return f"{key} of digest {value[:12]}"
