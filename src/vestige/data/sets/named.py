"""Data sets by name: what they are, which files they consist of, and where those are looked for.

The folder is that of the environment variable VESTIGE_DATA, or `vestige/data` in the user's cache. Nothing here uses
the network; `fetch` does.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial, reduce
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from vestige.core.errors import InputError
from vestige.core.messages import few
from vestige.core.records import Records, joined

VARIABLE = "VESTIGE_DATA"


@dataclass(frozen=True)
class SourceFile:
    """A file of a set.

    Attributes:
        path: Where it lies, below the data folder.
        url: Where it is published; None: nowhere that could be fetched from.
        sha256: Checksum of the published file; None: not known, and recorded when it is fetched first.
        unpacked_sha256: Checksum of what is in it, if it may be packed anew.
    """

    path: str
    url: str | None = None
    sha256: str | None = None
    unpacked_sha256: str | None = None

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class NamedSet:
    """A data set known by name.

    Attributes:
        name: What it is called.
        description: What it is, in a line.
        n_records: Records in all; a training part comes first, the test part after it.
        n_train: Records of the training part; all of them where the publisher makes no parts.
        shape: Shape of one record's inputs.
        n_classes: Number of classes.
        origin: Who publishes it.
        licence: Under what terms.
        files: What is fetched, and given to `read` in this order.
        read: Reads the files.
        alternatives: Other files, below the data folder, that `read` takes as well: the first that are there. The
            Python versions of CIFAR, which are pickles, are among them only to be told from what can be read.
    """

    name: str
    description: str
    n_records: int
    n_train: int
    shape: tuple[int, ...]
    n_classes: int
    origin: str
    licence: str
    files: tuple[SourceFile, ...]
    read: Callable[..., Records]
    alternatives: tuple[tuple[str, ...], ...] = ()

    def files_in(self, folder: Path) -> tuple[Path, ...] | None:
        """Return the files of the set in a folder; None if it is not there."""
        layouts = (tuple(file.path for file in self.files), *self.alternatives)
        places = (tuple(folder / path for path in layout) for layout in layouts)
        return next((paths for paths in places if all(path.exists() for path in paths)), None)


def data_folder() -> Path:
    """Return the folder of data sets: VESTIGE_DATA, else `vestige/data` in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "vestige", "data")
    return Path(os.environ.get(VARIABLE) or cache)


def folder_in_words() -> str:
    """Return what messages call the data folder: they show no paths."""
    return f"the folder {VARIABLE}" if os.environ.get(VARIABLE) else "the user's cache (vestige/data)"


def named_set(name: str) -> NamedSet:
    """Return what is known about a data set.

    Raises:
        InputError: There is no set of that name.

    Example:
        >>> named_set("location30").shape
        (446,)
    """
    if name in SETS:
        return SETS[name]
    close = get_close_matches(name, SETS, n=1)
    cure = f"you may mean {close[0]}." if close else "see vestige data list."
    raise InputError(f"Expected one of {few(list(SETS), len(SETS))}, found {name!r}; {cure}")


def load(name: str, *, folder: Path | None = None) -> Records:
    """Read a named data set from the data folder.

    Args:
        name: Such as `adult`; `SETS` has all.
        folder: Where the data sets are; `data_folder()` if omitted.

    Returns:
        All records, those of the training part before those of the test part.

    Raises:
        InputError: There is no such set, its files are not there, or they are damaged.
    """
    wanted = named_set(name)
    root = data_folder() if folder is None else folder
    paths = wanted.files_in(root)
    if paths is None:
        where = folder_in_words() if folder is None else "the folder"
        missing = [file.path for file in wanted.files if not (root / file.path).exists()]
        cure = f"run vestige data fetch {name}, or " if all(file.url is not None for file in wanted.files) else ""
        raise InputError(
            f"{name}: Expected {few([file.path for file in wanted.files])} in {where}, found no {few(missing)}; "
            f"{cure}set {VARIABLE} to the folder that holds them."
        )
    return wanted.read(*paths)


def _read(places: Sequence[str], *paths: Path) -> Records:
    """Hand the files to the first function, and the records to each of the others; parts of a set are joined."""
    results: Any = paths
    for place in places:
        module, name = place.split(":")
        results = getattr(import_module(f"vestige.data.sets.{module}"), name)(*results)
        results = (reduce(joined, results),) if isinstance(results, tuple) else (results,)
    return cast(Records, results[0])


def _known_sets() -> Iterator[NamedSet]:
    """The sets of sets.json, whose fields are those of `NamedSet`, but for two.

    `read` names functions of this folder, module:function: the first is given the files, each other one the records
    before. `files_of` names another set with the same files.
    """
    tables = json.loads(Path(__file__).with_name("sets.json").read_bytes())
    for name, table in tables.items():
        of_set = table.get("files") or tables[table["files_of"]]["files"]
        known = {key: value for key, value in table.items() if key != "files_of"}
        known |= {"files": tuple(SourceFile(**file) for file in of_set), "shape": tuple(table["shape"])}
        known |= {"alternatives": tuple(map(tuple, table.get("alternatives", ())))}
        yield NamedSet(name=name, **known | {"read": partial(_read, table["read"])})


# All named data sets.
SETS: Mapping[str, NamedSet] = MappingProxyType({known.name: known for known in _known_sets()})
