"""`SignalStore`: what many models answered about many records, in a Zarr folder that `xarray.open_zarr` reads too.

    signals.zarr/zarr.json                       what the store was made for, and the seal over all metadata
    signals.zarr/VARIABLE/c/ROW/BLOCK...         one object per row of the model table and block of records
    signals.zarr/complete/c/ROW                  the mark of a whole row, written last
    signals.zarr/{model,epoch,seed,record}/c/0   coordinates
    signals.zarr/record/ids.parquet              ids, which may be text; within an array's folder nothing lists it

Every object ends in its CRC-32C, for zarr's own codecs have no checksum; what is no object is under the seal.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from vestige.core.blocks import BlockTable
from vestige.core.errors import ArtefactError, InputError, OutputError
from vestige.core.half_written import half_written, reason, remove_left_behind, settle, writable
from vestige.core.messages import few
from vestige.data.signals.layout import (
    CURE,
    MEMBER,
    Damage,
    ModelTable,
    SignalLayout,
    VariableSpec,
    all_variables,
    spans,
)

FOLDER = "signals.zarr"
"""Name of the store in a run."""

FORMAT = "vestige-signals-1"
IDS = "record/ids.parquet"
_ROW_CURE = "compute this row again"
_NO_SEAL = "0" * 64
_FILL = {"f": np.nan, "i": -1}  # what xarray shows where nothing is written yet: no signal, no class
_WRITE = {"array.write_empty_chunks": True}  # else zarr leaves out chunks of fill values, and they look like lost ones


class SignalStore:
    """A folder of signals, models x records x queries x classes.

    One writer per row of the model table: the objects of a row are its own. A row counts once its mark is
    written, which is last, so that what a killed process left behind never reads as complete. Damage is an error that
    names variable, model and records, and `verify` lists it.

    Attributes:
        folder: Where it is.
        models: The model axis.
        variables: What it holds by name, membership (`member`) among them.
        n_records: Number of records.
        made_from: What else it was made from, by name.

    Example:
        >>> import tempfile
        >>> from vestige.data.signals.layout import ModelTable, SignalLayout, VariableSpec
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
        made_from: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.models = models
        self.variables = all_variables(variables)
        self.n_records = n_records
        self.made_from = made_from or {}
        self._layout = layout
        self._arrays: dict[str, Any] = {}

    @classmethod
    def create(cls, folder: str | Path, layout: SignalLayout) -> "SignalStore":
        """Make a store without any row: beside its place, and moved there whole.

        Raises:
            OutputError: The folder exists or cannot be written; nothing is left behind.
        """
        folder = Path(folder)
        if folder.exists():
            raise OutputError(f"{folder.name}: Expected no folder yet, found one; open it or remove it.")
        with writable(folder.name, "a new store"):
            folder.parent.mkdir(parents=True, exist_ok=True)
            remove_left_behind(folder.parent, folder.name)
            with half_written(folder.parent, folder.name) as partial:
                _make(partial, layout)
                os.rename(partial, folder)
                settle(folder)
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
        there = _identity_in(folder)
        specs = {name: VariableSpec(**spec) for name, spec in there["variables"].items()}
        columns = {}
        for name in ("model", "epoch", "seed", "record"):
            array = _open_array(folder, name, write=False)
            key, where = f"{name}/c/0", f"the coordinate {name}"
            columns[name] = _read_object(folder, array, key, slice(None), where, CURE)
        models = ModelTable(columns["model"], columns["epoch"], columns["seed"])
        if expected is not None:
            expected.refuse_other(folder.name, models, there)
        return cls(folder, models, specs, there["n_records"], expected, there["made_from"])

    @cached_property
    def ids(self) -> np.ndarray | None:
        """Ids of the records; None if they go by their row number."""
        import pyarrow.parquet as pq

        if not (self.folder / IDS).exists():
            return None
        ids = pq.read_table(self.folder / IDS, page_checksum_verification=True).column("id").to_numpy()
        return np.array(ids.tolist()) if ids.dtype == object else np.asarray(ids)

    def write_row(self, row: int, values: Mapping[str, Any]) -> None:
        """Write one row, membership along with it.

        A row that was complete before is not, until all of it is written.

        Args:
            row: Which row of the model table.
            values: All variables by name, records first, of exactly the type and the axes of the variable.

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
        arrays = self._checked(name, {**values, MEMBER: self._layout.member[row]})
        with writable(self.folder.name, name):
            self._forget(row)
        try:
            for key, array in arrays.items():
                for start, stop in spans(0, self.n_records, self._size(key)):
                    self._put(row, key, start, array[start:stop])
            with writable(self.folder.name, name):
                self._array("complete")[row] = True
        except BaseException:
            with suppress(OSError):  # what is left takes room, and nothing else
                self._forget(row)
            raise

    def _checked(self, name: str, values: Mapping[str, Any]) -> dict[str, np.ndarray]:
        arrays = {key: np.asarray(block) for key, block in values.items()}
        for key in (*arrays, *self.variables):
            self._check_name(key)
            spec = self.variables[key]
            block = arrays.get(key, np.empty((0, *spec.shape), spec.dtype))
            if block.dtype != np.dtype(spec.dtype) or block.ndim == 0 or block.shape[1:] != spec.shape:
                raise InputError(
                    f"Expected {key} of {name} as {spec.dtype} of shape {_shape('records', *spec.shape)}, found "
                    f"{block.dtype} of shape {_shape(*block.shape)}; convert it, so that nothing is rounded unseen."
                )
            if len(block) != self.n_records:
                raise InputError(
                    f"Expected {key} of {self.n_records:,} records for {name}, found {len(block):,}; give every "
                    "record once."
                )
        return arrays

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

    def complete(self) -> np.ndarray:
        """Return which rows are whole; one whose mark is damaged is not."""
        return np.array([self._is_marked(row) is True for row in range(len(self.models))])

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
        chosen = self._rows(rows)
        for row in chosen:
            if not self._mark(row):
                raise ArtefactError(
                    f"{self.folder.name}: Expected a complete row, found none for {self.models.named(row)}; "
                    "compute it, or read rows=store.complete() only."
                )
        spec, size = self.variables[name], self._size(name)
        out = np.empty((len(chosen), max(start, stop) - start, *spec.shape), spec.dtype)
        for i, row in enumerate(chosen):
            for a, b in spans(start, stop, size):
                out[i, a - start : b - start] = self._part(name, row, slice(a, b), size)
        return out

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
        marked = self._is_marked(row)
        if marked is None:
            yield Damage(row, "complete", 0, self.n_records)
        for name in self.variables if marked else ():
            size = self._size(name)
            for start, stop in spans(0, self.n_records, size):
                try:
                    self._part(name, row, slice(start, stop), size)
                except ArtefactError:
                    yield Damage(row, name, start, stop)

    def _part(self, name: str, row: int, records: slice, size: int) -> np.ndarray:
        """Some records of one object."""
        block = records.start // size
        first, last = block * size, min(self.n_records, (block + 1) * size) - 1
        key = "/".join([name, "c", str(row), str(block), *("0" for _ in self.variables[name].shape)])
        where = f"{name} of {self.models.named(row)}, records {first:,} to {last:,}"
        return _read_object(self.folder, self._array(name), key, (row, records), where, _ROW_CURE)

    def _array(self, name: str) -> Any:
        if name not in self._arrays:
            self._arrays[name] = _open_array(self.folder, name, write=self._layout is not None)
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
        positions = np.arange(n) if rows is None else np.asarray(rows)
        if positions.dtype == bool and positions.shape == (n,):
            positions = np.flatnonzero(positions)
        are_rows = positions.size == 0 or (positions.dtype.kind in "iu" and 0 <= positions.min() <= positions.max() < n)
        if positions.ndim != 1 or not are_rows:
            raise InputError(
                f"{self.folder.name}: Expected rows of its {n:,} models, as a mask or as positions from 0, found "
                f"{few([str(v) for v in positions.flat], 5)}."
            )
        return [int(row) for row in positions]

    def _mark(self, row: int) -> bool:
        key = f"complete/c/{row}"
        if not (self.folder / key).exists():
            return False
        where = f"the mark of {self.models.named(row)}"
        return bool(_read_object(self.folder, self._array("complete"), key, row, where, _ROW_CURE))

    def _is_marked(self, row: int) -> bool | None:
        """Whether a row is marked as whole; None if its mark is damaged."""
        try:
            return self._mark(row)
        except ArtefactError:
            return None


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


def _shape(*sizes: Any) -> str:
    return " x ".join(str(size) for size in sizes) or "a single value"


# ------------------------------------------------------------------------------------------- files


def _make(folder: Path, layout: SignalLayout) -> None:
    import zarr

    vestige = {"format": FORMAT, **layout.identity(), "seal": _NO_SEAL}
    attributes = {"coordinates": "epoch seed complete", "vestige": vestige}
    group = zarr.create_group(folder, zarr_format=3, attributes=attributes)
    n_models, n_records = len(layout.models), layout.n_records
    for name, values in {**layout.models.columns(), "record": np.arange(n_records)}.items():
        dims = ("record" if name == "record" else "model",)
        _add(group, name, np.dtype(np.int64), dims, values.shape, values.shape)
        _open_array(folder, name, write=True)[:] = values
    _add(group, "complete", np.dtype(bool), ("model",), (n_models,), (1,))
    for name, spec in all_variables(layout.variables).items():
        chunk = (1, spec.chunk_records(n_models, n_records), *spec.shape)
        _add(group, name, np.dtype(spec.dtype), spec.dims, (n_models, n_records, *spec.shape), chunk)
    if layout.ids is not None:
        _write_ids(folder, layout.ids)
    root = folder / "zarr.json"
    empty = f'"seal": "{_NO_SEAL}"'
    root.write_text(root.read_text().replace(empty, empty.replace(_NO_SEAL, _seal(folder, _NO_SEAL))))


def _add(
    group: Any,
    name: str,
    dtype: np.dtype[Any],
    dims: tuple[str, ...],
    shape: tuple[int, ...],
    chunks: tuple[int, ...],
) -> None:
    """Add one array, checksum last.

    Zstandard makes labels and membership 3 to 5 times smaller, but float32 logits only 7 %, for twice the time:
    those are stored as they are.
    """
    from zarr.codecs import Crc32cCodec, ZstdCodec

    pack = [] if dtype.kind == "f" or dims == ("model",) else [ZstdCodec(level=1)]
    group.create_array(
        name=name,
        shape=shape,
        chunks=chunks,
        dtype=dtype,
        compressors=[*pack, Crc32cCodec()],
        fill_value=_FILL.get(dtype.kind, 0),
        dimension_names=dims,
    )


def _open_array(folder: Path, name: str, *, write: bool) -> Any:
    import zarr

    with zarr.config.set(_WRITE):
        return zarr.open_array(folder / name, mode="r+" if write else "r", zarr_format=3)


def _write_ids(folder: Path, ids: np.ndarray) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"id": pa.array(ids)}), folder / IDS)


def _seal(folder: Path, seal: str) -> str:
    """SHA-256 of all metadata and ids; in the root's, zeros stand for the seal itself."""
    digest = hashlib.sha256((folder / "zarr.json").read_bytes().replace(seal.encode(), _NO_SEAL.encode()))
    for path in [*sorted(folder.glob("*/zarr.json")), *folder.glob(IDS)]:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()} {len(content)} ".encode())
        digest.update(content)
    return digest.hexdigest()


def _identity_in(folder: Path) -> dict[str, Any]:
    """What the store was made for, once its metadata are known to be untouched.

    Raises:
        ArtefactError: There is no such store, its metadata changed, or it is of another version.
    """
    try:
        there = json.loads((folder / "zarr.json").read_bytes())["attributes"]["vestige"]
        seal, written_format = there["seal"], there["format"]
        sealed = _seal(folder, seal) == seal
    except OSError as error:
        raise ArtefactError(
            f"{folder.name}: Expected a store of signals, found: {reason(error)}; name another folder."
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        sealed = False
    if not sealed:
        raise ArtefactError(
            f"{folder.name}: Expected a store of signals as it was made, found other metadata or ids; {CURE}."
        )
    if written_format != FORMAT:
        raise ArtefactError(f"{folder.name}: Expected a store of format {FORMAT}, found {written_format}; {CURE}.")
    return dict(there)


def _read_object(folder: Path, array: Any, key: str, at: Any, where: str, cure: str) -> np.ndarray:
    """What one object holds; zarr itself would read a missing one as fill values."""
    found = "" if (folder / key).is_file() else "found none"
    try:
        if not found:
            return np.asarray(array[at])
    except OSError as error:
        found = f"found: {reason(error)}"
    except (ValueError, RuntimeError):  # zarr's, of a checksum and of a codec
        found = "found a damaged object"
    raise ArtefactError(f"{folder.name}: Expected {where}, {found}; {cure}.")
