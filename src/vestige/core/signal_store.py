"""`SignalStore`: what many models answered about many records, kept in a Zarr folder, written and read in blocks."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from vestige.core import signal_files
from vestige.core.blocks import BlockTable
from vestige.core.errors import ArtefactError, InputError
from vestige.core.messages import few
from vestige.core.signal_files import CURE, writable
from vestige.core.signal_rows import RowWriter
from vestige.core.signals import MEMBER, Damage, ModelTable, SignalLayout, VariableSpec, all_variables, spans

FOLDER = "signals.zarr"
"""Name of the store in a run."""

_ROW_CURE = "compute this row again"


class SignalStore:
    """A folder of signals, models x records x queries x classes, which `xarray.open_zarr` reads too.

    One writer per row of the model table: the objects of a row are its own. A row counts once its mark is
    written, which is last, so that what a killed process left behind never reads as complete. Every object ends in
    its checksum: damage is an error that names variable, model and records, and `verify` lists it.

    Attributes:
        folder: Where it is.
        models: The model axis.
        variables: What it holds by name, membership (`member`) among them.
        n_records: Number of records.

    Example:
        >>> import tempfile
        >>> from vestige.core.signals import ModelTable, SignalLayout, VariableSpec
        >>> layout = SignalLayout(
        ...     ModelTable([0, 1], [20, 20], [7, 8]),
        ...     np.array([[True, False, True], [False, True, False]]),
        ...     {"losses": VariableSpec("float64")},
        ...     ids=["anna", "ben", "cleo"],
        ... )
        >>> with tempfile.TemporaryDirectory() as run:
        ...     store = SignalStore.create(Path(run) / "signals.zarr", layout)
        ...     store.write_row(1, {"losses": np.array([0.1, 0.2, 3.0])})
        ...     store.complete(), store.read("losses", rows=[1], records=slice(1, 3))
        (array([False,  True]), array([[0.2, 3. ]]))
    """

    def __init__(
        self,
        folder: Path,
        models: ModelTable,
        variables: Mapping[str, VariableSpec],
        n_records: int,
        layout: SignalLayout | None,
    ) -> None:
        self.folder = folder
        self.models = models
        self.variables = all_variables(variables)
        self.n_records = n_records
        self._layout = layout
        self._arrays: dict[str, Any] = {}

    @classmethod
    def create(cls, folder: str | Path, layout: SignalLayout) -> "SignalStore":
        """Make a store without any row.

        Raises:
            OutputError: The folder exists or cannot be written; nothing is left behind.
        """
        signal_files.make(Path(folder), layout)
        return cls.open(folder, layout)

    @classmethod
    def open(cls, folder: str | Path, expected: SignalLayout | None = None) -> "SignalStore":
        """Open a store.

        Args:
            folder: Where it is.
            expected: What it must have been made for, needed for writing; None to read whatever is there.

        Raises:
            ArtefactError: It was made for something else, its metadata, ids or model table are damaged, or there is
                no store.
        """
        folder = Path(folder)
        there = signal_files.read_identity(folder)
        specs = {name: VariableSpec(**spec) for name, spec in there["variables"].items()}
        models = ModelTable(*(_coordinate(folder, name) for name in ("model", "epoch", "seed")))
        _coordinate(folder, "record")
        if expected is not None:
            _same_models(folder.name, models, expected.models)
            signal_files.same_or_refused(folder.name, there, expected)
        return cls(folder, models, specs, there["n_records"], expected)

    @cached_property
    def ids(self) -> np.ndarray | None:
        """Ids of the records; None if they go by their row number."""
        return signal_files.read_ids(self.folder)

    # ------------------------------------------------------------------------------------ writing

    @contextmanager
    def writing(self, row: int) -> Iterator[RowWriter]:
        """Write one row block by block; it is complete once the `with` block ends without an error.

        A row that was complete before is not, from here on. Membership is written along with it.

        Args:
            row: Which row of the model table.

        Yields:
            What takes the blocks: `append({"logits": block, ...})` in the order of the records.

        Raises:
            InputError: The store was opened without saying what it should hold, there is no such row, or what was
                given is not what the layout says.
            OutputError: It cannot be written.
        """
        if self._layout is None:
            raise InputError(
                f"{self.folder.name}: Expected the layout it must have, to write to it, found none; "
                "open it with SignalStore.open(folder, layout)."
            )
        name = self.models.named(self._rows([row])[0])
        sizes = {key: self._size(key) for key in self.variables}
        writer = RowWriter(name, self.variables, sizes, self.n_records, lambda *part: self._put(row, *part))
        with writable(self.folder.name, name):
            self._forget(row)
        try:
            yield writer
            writer.append({MEMBER: self._layout.member[row]})
            writer.finish()
            with writable(self.folder.name, name):
                self._array("complete")[row] = True
        except BaseException:
            with suppress(OSError):  # what is left takes room, and nothing else
                self._forget(row)
            raise

    def write_row(self, row: int, values: Mapping[str, Any]) -> None:
        """Write one row from whole arrays.

        Args:
            row: Which row of the model table.
            values: All variables by name, records first.

        Raises:
            InputError: As `writing`.
            OutputError: As `writing`.
        """
        with self.writing(row) as writer:
            writer.append(values)

    def _put(self, row: int, name: str, start: int, values: np.ndarray) -> None:
        with writable(self.folder.name, f"{name} of {self.models.named(row)}"):
            self._array(name)[row, start : start + len(values)] = values

    def _forget(self, row: int) -> None:
        """Remove the mark first, then all that is there of a row."""
        (self.folder / "complete" / "c" / str(row)).unlink(missing_ok=True)
        for name in self.variables:
            path = self.folder / name / "c" / str(row)
            if path.exists():
                shutil.rmtree(path)

    # ------------------------------------------------------------------------------------ reading

    def complete(self) -> np.ndarray:
        """Return which rows are whole; one whose mark is damaged is not."""
        return np.array([self._is_complete(row) for row in range(len(self.models))])

    def read(self, name: str, *, rows: Any = None, records: slice = slice(None)) -> np.ndarray:
        """Return a variable of some rows and records.

        Args:
            name: Which variable.
            rows: Rows of the model table, a mask or positions; all if omitted.
            records: Consecutive records; all if omitted.

        Returns:
            rows x records (x queries x classes).

        Raises:
            InputError: There is no such variable or row, or the records are not consecutive.
            ArtefactError: A row is not complete, or an object is damaged or missing.
        """
        start, stop, step = records.indices(self.n_records)
        if step != 1:
            raise InputError(f"Expected consecutive records, found a step of {step}; take them from what is read.")
        self._check_name(name)
        return self._read(name, self._complete_rows(rows), start, max(start, stop))

    def blocks(self, name: str, n_records: int | None = None, *, rows: Any = None) -> Iterator[tuple[int, np.ndarray]]:
        """Return an iterator over all records, a block at a time.

        Args:
            name: Which variable.
            n_records: Records per block; if omitted those of one object, the size at which each is decoded once.
            rows: Rows of the model table, a mask or positions; all if omitted.

        Returns:
            The first record of each block, and rows x records (x queries x classes).

        Raises:
            InputError: As `read`.
            ArtefactError: As `read`.
        """
        self._check_name(name)
        chosen = self._complete_rows(rows)
        size = self._size(name) if n_records is None else n_records
        if size < 1:
            raise InputError(f"Expected at least 1 record per block, found {size}; leave it out for the fastest.")
        return ((start, self._read(name, chosen, start, stop)) for start, stop in spans(0, self.n_records, size))

    def table(self, name: str, rows: Any = None) -> BlockTable:
        """Return a variable of some rows, to be read a few models at a time: models x records (x queries x classes).

        Args:
            name: Which variable.
            rows: Rows of the model table, a mask or positions; all if omitted.

        Raises:
            InputError: There is no such variable or row.
        """
        self._check_name(name)
        return _Rows(self, name, self._rows(rows))

    def verify(self) -> tuple[Damage, ...]:
        """Read every object of every row that is marked complete.

        Returns:
            What is damaged or missing; writing those rows again mends the store.
        """
        return tuple(damage for row in range(len(self.models)) for damage in self._damages(row))

    def dataset(self) -> Any:
        """Return the store as an `xarray.Dataset`, read when needed, with the ids as coordinate `record`.

        Rows that are not `complete` hold NaN, -1 or False. Checksums are verified; missing objects are not noticed.
        """
        import xarray as xr

        dataset = xr.open_zarr(self.folder, consolidated=False, chunks=None)
        return dataset if self.ids is None else dataset.assign_coords(record=self.ids)

    def _damages(self, row: int) -> Iterator[Damage]:
        try:
            if not self._mark(row):
                return
        except ArtefactError:
            yield Damage(row, "complete", 0, self.n_records)
            return
        for name in self.variables:
            for start, stop in spans(0, self.n_records, self._size(name)):
                try:
                    self._read(name, [row], start, stop)
                except ArtefactError:
                    yield Damage(row, name, start, stop)

    def _read(self, name: str, rows: list[int], start: int, stop: int) -> np.ndarray:
        spec, size = self.variables[name], self._size(name)
        out = np.empty((len(rows), stop - start, *spec.shape), spec.dtype)
        for i, row in enumerate(rows):
            for a, b in spans(start, stop, size):
                out[i, a - start : b - start] = self._part(name, row, slice(a, b), size)
        return out

    def _part(self, name: str, row: int, records: slice, size: int) -> np.ndarray:
        """Some records of one object."""
        block = records.start // size
        first, last = block * size, min(self.n_records, (block + 1) * size) - 1
        key = "/".join([name, "c", str(row), str(block), *("0" for _ in self.variables[name].shape)])
        where = f"{name} of {self.models.named(row)}, records {first:,} to {last:,}"
        return _read_object(self.folder, self._array(name), key, (row, records), where, _ROW_CURE)

    def _array(self, name: str) -> Any:
        if name not in self._arrays:
            self._arrays[name] = signal_files.open_array(self.folder, name, write=self._layout is not None)
        return self._arrays[name]

    def _size(self, name: str) -> int:
        """Records per object: what the store was made with, whatever is made today."""
        return int(self._array(name).chunks[1])

    def _check_name(self, name: str) -> None:
        if name not in self.variables:
            raise InputError(
                f"{self.folder.name}: Expected one of the variables {few(list(self.variables))}, found {name!r}."
            )

    def _rows(self, rows: Any) -> list[int]:
        """Positions of rows, from a mask, positions or None."""
        n = len(self.models)
        found = np.arange(n) if rows is None else np.asarray(rows)
        found = np.flatnonzero(found) if found.dtype == bool and found.shape == (n,) else found
        if found.ndim != 1 or (found.size and (found.dtype.kind not in "iu" or found.min() < 0 or found.max() >= n)):
            raise InputError(
                f"{self.folder.name}: Expected rows of its {n:,} models, as a mask or as positions from 0, found "
                f"{few([str(v) for v in found.flat], 5)}."
            )
        return [int(row) for row in found]

    def _complete_rows(self, rows: Any) -> list[int]:
        chosen = self._rows(rows)
        for row in chosen:
            if not self._mark(row):
                raise ArtefactError(
                    f"{self.folder.name}: Expected a complete row, found none for {self.models.named(row)}; "
                    "compute it, or read rows=store.complete() only."
                )
        return chosen

    def _is_complete(self, row: int) -> bool:
        try:
            return self._mark(row)
        except ArtefactError:
            return False

    def _mark(self, row: int) -> bool:
        key = f"complete/c/{row}"
        if not (self.folder / key).exists():
            return False
        where = f"the mark of {self.models.named(row)}"
        return bool(_read_object(self.folder, self._array("complete"), key, row, where, _ROW_CURE))


class _Rows:
    """Some rows of a variable as a `BlockTable`."""

    def __init__(self, store: SignalStore, name: str, rows: list[int]) -> None:
        spec = store.variables[name]
        self.name = f"{store.folder.name}/{name}"
        self.shape: tuple[int, ...] = (len(rows), store.n_records, *spec.shape)
        self.dtype: np.dtype[Any] = np.dtype(spec.dtype)
        self._store, self._variable, self._chosen = store, name, rows

    def blocks(self, n_rows: int) -> Iterator[np.ndarray]:
        """Yield the rows of at most `n_rows` models at a time."""
        for start in range(0, len(self._chosen), n_rows):
            yield self._store.read(self._variable, rows=self._chosen[start : start + n_rows])


def _read_object(folder: Path, array: Any, key: str, at: Any, where: str, cure: str) -> np.ndarray:
    """What one object holds; zarr itself would read a missing one as fill values."""
    found = "" if (folder / key).is_file() else "found none"
    try:
        if not found:
            return np.asarray(array[at])
    except OSError as error:
        found = f"found: {signal_files.reason(error)}"
    except (ValueError, RuntimeError):  # zarr's, of a checksum and of a codec
        found = "found a damaged object"
    raise ArtefactError(f"{folder.name}: Expected {where}, {found}; {cure}.")


def _coordinate(folder: Path, name: str) -> np.ndarray:
    array = signal_files.open_array(folder, name, write=False)
    return _read_object(folder, array, f"{name}/c/0", slice(None), f"the coordinate {name}", CURE)


def _same_models(name: str, there: ModelTable, expected: ModelTable) -> None:
    if len(there) != len(expected):
        raise ArtefactError(
            f"{name}: Expected a store made for {len(expected):,} models, found one for {len(there):,}; "
            f"name another folder, or {CURE}."
        )
    differ = np.any([there.columns()[key] != values for key, values in expected.columns().items()], axis=0)
    if differ.any():
        row = int(np.argmax(differ))
        raise ArtefactError(
            f"{name}: Expected a store with {expected.named(row)} of seed {expected.seed[row]} in row {row}, found "
            f"{there.named(row)} of seed {there.seed[row]}; name another folder, or {CURE}."
        )
