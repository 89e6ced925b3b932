"""The files of a signals store: how they are made, and how one is known to be as it was made.

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
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from vestige.core.errors import ArtefactError, OutputError
from vestige.core.signals import SignalLayout, VariableSpec, all_variables

FORMAT = "vestige-signals-1"
IDS = "record/ids.parquet"
CURE = "remove it, so that it is computed again"
_NO_SEAL = "0" * 64
_FILL = {"f": np.nan, "i": -1}  # what xarray shows where nothing is written yet: no signal, no class
_WRITE = {"array.write_empty_chunks": True}  # else zarr leaves out chunks of fill values, and they look like lost ones


def make(folder: Path, layout: SignalLayout) -> None:
    """Make an empty store: beside its place, and moved there whole.

    Raises:
        OutputError: Something is there already, or it cannot be written; nothing is left behind.
    """
    if folder.exists():
        raise OutputError(f"{folder.name}: Expected no folder yet, found one; open it or remove it.")
    partial = folder.with_name(f".{folder.name}.partial")
    try:
        with writable(folder.name, "a new store"):
            shutil.rmtree(partial, ignore_errors=True)  # of a killed process
            partial.mkdir(mode=0o700, parents=True)  # who was a member is nobody else's business
            _make_in(partial, layout)
            os.rename(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def open_array(folder: Path, name: str, *, write: bool) -> Any:
    """Return one array of the store."""
    import zarr

    with zarr.config.set(_WRITE):
        return zarr.open_array(folder / name, mode="r+" if write else "r", zarr_format=3)


def read_ids(folder: Path) -> np.ndarray | None:
    """Return the ids; None if records go by their row number."""
    import pyarrow.parquet as pq

    if not (folder / IDS).exists():
        return None
    ids = pq.read_table(folder / IDS, page_checksum_verification=True).column("id").to_numpy()
    return np.array(ids.tolist()) if ids.dtype == object else np.asarray(ids)


def read_identity(folder: Path) -> dict[str, Any]:
    """Return what the store was made for, once its metadata are known to be untouched.

    Raises:
        ArtefactError: There is no such store, its metadata changed, or it is of another version.
    """
    try:
        there = json.loads((folder / "zarr.json").read_bytes())["attributes"]["vestige"]
        seal, found = there["seal"], there["format"]
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
    if found != FORMAT:
        raise ArtefactError(f"{folder.name}: Expected a store of format {FORMAT}, found {found}; {CURE}.")
    return dict(there)


def reason(error: OSError) -> str:
    """Return what the operating system says, without paths."""
    return (error.strerror or type(error).__name__).lower()


@contextmanager
def writable(name: str, what: str) -> Iterator[None]:
    """Tell what the operating system refuses as one `OutputError`."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(
            f"{name}: Expected to write {what}, found: {reason(error)}; it does not count as written. Make room or "
            "mend the place, and start again."
        ) from None


def _make_in(folder: Path, layout: SignalLayout) -> None:
    import zarr

    vestige = {"format": FORMAT, **layout.identity(), "seal": _NO_SEAL}
    attributes = {"coordinates": "epoch seed complete", "vestige": vestige}
    group = zarr.create_group(folder, zarr_format=3, attributes=attributes)
    coordinates = {**layout.models.columns(), "record": np.arange(layout.n_records)}
    for name, values in coordinates.items():
        dim = "record" if name == "record" else "model"
        _add(group, name, np.dtype(np.int64), (dim,), values.shape, values.shape)
        open_array(folder, name, write=True)[:] = values
    n_models = len(layout.models)
    _add(group, "complete", np.dtype(bool), ("model",), (n_models,), (1,))
    for name, spec in all_variables(layout.variables).items():
        _add_variable(group, name, spec, n_models, layout.n_records)
    if layout.ids is not None:
        _write_ids(folder, layout.ids)
    root = folder / "zarr.json"
    empty = f'"seal": "{_NO_SEAL}"'
    root.write_text(root.read_text().replace(empty, empty.replace(_NO_SEAL, _seal(folder, _NO_SEAL))))


def _add_variable(group: Any, name: str, spec: VariableSpec, n_models: int, n_records: int) -> None:
    chunk = (1, spec.chunk_records(n_models, n_records), *spec.shape)
    _add(group, name, np.dtype(spec.dtype), spec.dims, (n_models, n_records, *spec.shape), chunk)


def _add(
    group: Any,
    name: str,
    dtype: np.dtype[Any],
    dims: tuple[str, ...],
    shape: tuple[int, ...],
    chunks: tuple[int, ...],
) -> None:
    """One array, checksum last.

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


def _write_ids(folder: Path, ids: np.ndarray) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"id": pa.array(ids)}), folder / IDS)


def _seal(folder: Path, seal: str) -> str:
    """SHA-256 of all metadata and ids; in the root's, zeros stand for the seal itself."""
    digest = hashlib.sha256((folder / "zarr.json").read_bytes().replace(seal.encode(), _NO_SEAL.encode()))
    ids = [folder / IDS] if (folder / IDS).exists() else []
    for path in [*sorted(folder.glob("*/zarr.json")), *ids]:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder)} {len(content)} ".encode())
        digest.update(content)
    return digest.hexdigest()


def same_or_refused(name: str, there: Mapping[str, Any], expected: SignalLayout) -> None:
    """Refuse a store that was made for other records or variables.

    Raises:
        ArtefactError: Naming what is there and what was expected.
    """
    here = expected.identity()
    for key in ("n_records", "ids", "member", "variables", "made_from"):
        if there[key] != here[key]:
            raise ArtefactError(
                f"{name}: Expected a store made for {_told(key, here[key])}, found one for "
                f"{_told(key, there[key])}; name another folder, or {CURE}."
            )


def _told(key: str, value: Any) -> str:
    """One side of a mismatch, on one line."""
    if key == "n_records":
        return f"{value:,} records"
    if key == "variables":
        return ", ".join(f"{name} {VariableSpec(**spec)}" for name, spec in value.items())
    if key == "made_from":
        return ", ".join(f"{name} {text[:12]}" for name, text in value.items()) or "nothing named"
    return f"{key} of digest {value[:12]}"
