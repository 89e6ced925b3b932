"""The bank: a store of trained models by key, shared by runs and by processes.

    BANK/<key>/       a model's files and `done.json`; it appears whole, by one rename, and never changes
    BANK/journal/     half-written folders (`core.half_written`); `ready-*` are complete and wait to be moved
    BANK/claims/      locked files: which process trains which key, which one moves folders

The folder's listing is the index, so no index can disagree with it. A killed process leaves a half-written folder,
which is removed when the bank is opened next, or a ready one, whose models are then moved to their places.
"""

import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from vestige.core.errors import ArtefactError, InputError, OutputError
from vestige.core.half_written import half_written, remove_left_behind
from vestige.core.messages import brief
from vestige.training.claims import Claims
from vestige.training.model_key import ModelKey, key_of, plain, spelled

Stack = Mapping[str, tuple[ModelKey, Mapping[str, bytes], Mapping[str, Any]]]
"""Models by key: the `ModelKey`, the files by name, and notes on the training."""

DONE = "done.json"
"""A file of each entry: the key, what it is the key of, and size and checksum of every other file."""

_FORMAT = "vestige-model-1"
_STACK = "stack"  # what a half-written folder of the journal is called
_MOVING = "journal"  # claimed by the process that publishes or removes folders of the journal
KEY = re.compile("[0-9a-f]{64}")
"""What keys look like."""

_READY = re.compile("ready-[0-9a-f]{32}")  # other files in the journal are not ours


def default_folder() -> Path:
    """Return the default folder of the bank: VESTIGE_BANK, else one in the user's cache.

    Example:
        >>> default_folder().name
        'bank'
    """
    if named := os.environ.get("VESTIGE_BANK"):
        return Path(named)
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (cache if cache.is_absolute() else Path.home() / ".cache") / "vestige" / "bank"


class Bank:
    """Trained models by key; any number of processes may use one folder at once.

    Claim the keys before training and look again which models are missing; then no model is trained twice:

        while (claim := bank.claim(keys)) is None:
            bank.wait_for(keys)
        with claim:
            missing = [key for key in keys if not bank.has(key)]
            ...  # train these, and put_all

    Attributes:
        folder: Its folder, `default_folder()` if omitted. Models reveal the records they were trained on, so folders
            and files are readable by their owner alone.

    Raises:
        OutputError: It cannot be opened or written there.

    Example:
        >>> import tempfile
        >>> bank = Bank(Path(tempfile.mkdtemp()) / "bank")
        >>> model_key = ModelKey(data="digest", membership="digest of a row", recipe={"epochs": 3}, seed=0)
        >>> bank.put_all({key_of(model_key): (model_key, {"weights": b"0123"}, {"seconds": 0.4})})
        >>> bank.get(key_of(model_key), model_key), bank.keys() == [key_of(model_key)]
        ({'weights': b'0123'}, True)
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self.folder = (default_folder() if folder is None else Path(folder)).absolute()
        self._journal = self.folder / "journal"
        with self._told("open the bank"):
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self.folder.mkdir(mode=0o700, exist_ok=True)
            self._journal.mkdir(mode=0o700, exist_ok=True)
            self._claims = Claims(self.folder / "claims")
            self._recover()

    def keys(self) -> list[str]:
        """Return the keys of all models, sorted."""
        with self._told("list the bank"):
            return sorted(name for name in os.listdir(self.folder) if KEY.fullmatch(name) and self.has(name))

    def has(self, key: str) -> bool:
        """Tell whether there is a model of this key, without reading it."""
        return os.path.isfile(self.folder / key / DONE)

    def get(self, key: str, model_key: ModelKey) -> Mapping[str, bytes] | None:
        """Return a model's files, every byte of them checked.

        Args:
            key: The key.
            model_key: What it is the key of; the stored entry must state the same.

        Returns:
            Contents by file name; None if there is no such model.

        Raises:
            ArtefactError: The entry is of another model, or changed since it was written.
        """
        done = self._done(key, model_key)
        return None if done is None else read_files(self.folder / key, done)

    def how(self, key: str, model_key: ModelKey) -> Mapping[str, Any] | None:
        """Return the notes on a model's training; arguments, None and errors as `get`."""
        done = self._done(key, model_key)
        return None if done is None else dict(done["how"])

    def put_all(self, models: Stack) -> None:
        """Add all of these models or none; a model that is stored already stays.

        Args:
            models: Models by key: the `ModelKey`, files by plain name, and notes (JSON values).

        Raises:
            InputError: A key does not belong to its `ModelKey`, or something cannot be written as JSON.
            OutputError: The place is full or cannot be written; the bank is as it was.
        """
        for key, (model_key, _, _) in models.items():
            if key != key_of(model_key):
                raise InputError(f"Expected the key {key_of(model_key)[:12]} of these facts, found {key[:12]}.")
        what = f"write {len(models)} models to the bank"
        with self._told(what), half_written(self._journal, _STACK) as staging:
            for key, (model_key, files, how) in models.items():
                write_entry(staging / key, key, model_key, files, how)
            sync_folder(staging)
            with self._claims.hold(_MOVING):
                ready = staging.rename(staging.with_name(staging.name.replace(f".{_STACK}", "ready")))
                sync_folder(self._journal)  # from here on all of them are in the bank, whatever happens
                self._publish(ready)

    def remove(self, keys: Collection[str]) -> list[str]:
        """Remove models; those that another process has claimed stay.

        Returns:
            Keys of the models that were removed.

        Raises:
            OutputError: One cannot be removed.
        """
        removed = []
        for key in keys:
            claim = self.claim([key])
            if claim is None:
                continue
            with claim, self._told("remove a model of the bank"):
                (self.folder / key / DONE).unlink(missing_ok=True)  # first: from here on it is not in the bank
                shutil.rmtree(self.folder / key, ignore_errors=True)
                removed.append(key)
        return removed

    def claim(self, keys: Collection[str]) -> ExitStack | None:
        """Claim all of these keys for training, or none if one of them is claimed already; never waits.

        Returns:
            A block to train and put in; None if a key is taken. The claim ends with the block or the process.

        Raises:
            OutputError: The folder's file system does not lock files.
        """
        with self._told("claim models of the bank"):
            claim = self._claims.take(keys)
            if claim is not None and any(map(_READY.fullmatch, os.listdir(self._journal))):
                self._recover()  # a process that held these keys may have been killed while it moved them
            return claim

    def wait_for(self, keys: Collection[str], until: float = math.inf) -> None:
        """Wait until no other process trains one of these keys, or `time.monotonic()` is past `until`."""
        with self._told("wait for models of the bank"):
            self._claims.wait(keys, until)

    def _done(self, key: str, model_key: ModelKey) -> dict[str, Any] | None:
        with self._told("read a model of the bank"), suppress(FileNotFoundError, NotADirectoryError):
            return read_done(self.folder / key, key, model_key)
        return None

    def _recover(self) -> None:
        """Publish or remove the folders that killed processes left in the journal."""
        with self._claims.hold(_MOVING):
            for name in filter(_READY.fullmatch, sorted(os.listdir(self._journal))):
                self._publish(self._journal / name)
            remove_left_behind(self._journal, _STACK)

    def _publish(self, ready: Path) -> None:
        """Move every model of a ready folder to its place, unless one is there."""
        for entry in sorted(path for path in ready.iterdir() if KEY.fullmatch(path.name)):
            place = self.folder / entry.name
            if not self.has(entry.name):
                shutil.rmtree(place, ignore_errors=True)  # a folder without `done.json`: a user removed files of it
                os.rename(entry, place)
        sync_folder(self.folder)
        # A half-removed folder must never look ready, so it gets its half-written name back first.
        ready.rename(ready.with_name(ready.name.replace("ready", f".{_STACK}")))

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Turn an error of the operating system into one `OutputError`."""
        try:
            yield
        except OutputError:
            raise
        except (OSError, NotImplementedError) as error:  # the latter is filelock's, where there are no locks
            raise OutputError(
                f"Expected to {what} {self.folder}, found: {getattr(error, 'strerror', '') or error}; the models in it "
                "are whole. Make room there, or name another folder with --bank or VESTIGE_BANK."
            ) from None


# ------------------------------------------------------------------------------- one entry


def write_entry(
    folder: Path, key: str, model_key: ModelKey, files: Mapping[str, bytes], how: Mapping[str, Any]
) -> None:
    """Write an entry into a new folder, through to the disk.

    Args:
        folder: It must not exist yet.
        key: The key.
        model_key: What it is the key of.
        files: Contents by plain file name.
        how: Notes on the training, which decide nothing; JSON values.

    Raises:
        InputError: A file has no plain name, or `how` is no JSON.
        OSError: As the operating system says.
    """
    for name in files:
        if name in ("", DONE) or name.startswith(".") or name != os.path.basename(name):
            raise InputError(f"Expected plain names of files, found {brief(repr(name))}; name it without a folder.")
    listed = {name: {"size": len(data), "sha256": _sha256(data)} for name, data in files.items()}
    done = {"format": _FORMAT, "key": key, "facts": plain(model_key), "files": listed, "how": how}
    text = _as_text(done)
    folder.mkdir(mode=0o700)
    for name, data in files.items():
        _write(folder / name, data)
    _write(folder / DONE, text)
    sync_folder(folder)


def read_done(folder: Path, key: str, model_key: ModelKey) -> dict[str, Any]:
    """Return what `done.json` of an entry says, if it is of this key and unchanged since it was written.

    Raises:
        ArtefactError: It is not.
        FileNotFoundError: There is none.
    """
    text = (folder / DONE).read_bytes()
    try:
        done = json.loads(text)
        seal, found, kind = done["sha256"], done["facts"], done["format"]
    except (ValueError, KeyError, TypeError):
        raise _refused(folder, f"a {DONE} as Vestige writes it", "one that cannot be read") from None
    if kind != _FORMAT:
        raise _refused(folder, f"a {DONE} of format {_FORMAT}", brief(str(kind)))
    if text != _as_text({name: value for name, value in done.items() if name != "sha256"}):
        raise _refused(folder, f"a {DONE} with the checksum {brief(str(seal), 12)}", "another content")
    if done["key"] != key:
        raise _refused(folder, f"a model of key {key[:12]}", f"key {brief(str(done['key']), 12)} in {DONE}")
    _same_facts(folder, plain(model_key), found)
    return dict(done)


def read_files(folder: Path, done: Mapping[str, Any]) -> dict[str, bytes]:
    """Return every file of an entry, if each is as `done.json` says.

    Raises:
        ArtefactError: One is not, or is missing.
    """
    return {name: _checked(folder, name, said) for name, said in done["files"].items()}


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder through to the disk."""
    if not hasattr(os, "O_DIRECTORY"):  # such as on Windows, where folders cannot be opened
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _as_text(done: Mapping[str, Any]) -> bytes:
    """The text of `done.json`, with a checksum of all the rest: a change of any byte is seen."""
    try:
        sealed = {**done, "sha256": _sha256(spelled(done).encode())}
        return (json.dumps(json.loads(spelled(sealed)), sort_keys=True, indent=1) + "\n").encode()
    except (TypeError, ValueError) as error:
        reason = brief(str(error), 120)
        raise InputError(f"Expected text and numbers about a training, found: {reason}; describe it by text.") from None


def _checked(folder: Path, name: str, said: Mapping[str, Any]) -> bytes:
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        raise _refused(folder, f"the file {name}", error.strerror or "a read error") from None
    if len(data) != said["size"]:
        raise _refused(folder, f"{name} with {said['size']:,} bytes", f"{len(data):,}")
    if (found := _sha256(data)) != said["sha256"]:
        raise _refused(folder, f"{name} with SHA-256 {said['sha256'][:12]}", found[:12])
    return data


def _same_facts(folder: Path, asked: Mapping[str, Any], found: Any) -> None:
    """Name the first part of the key that differs, down to the parameter of the recipe."""
    if spelled(asked) == spelled(found):  # spelled, because NaN equals nothing
        return
    a, b = _flat(asked), _flat(found)
    name = next(n for n in sorted({*a, *b}) if a.get(n) != b.get(n))
    here, there = (brief(side.get(name, "nothing")) for side in (a, b))
    raise _refused(folder, f"a model of {name} {here}", f"{there} in {DONE}")


def _flat(value: Any, name: str = "") -> dict[str, str]:
    if not isinstance(value, Mapping) or not value:
        return {name: spelled(value)}
    parts = [_flat(part, f"{name}.{key}" if name else key) for key, part in value.items()]
    return {key: text for part in parts for key, text in part.items()}


def _refused(folder: Path, expected: str, found: str) -> ArtefactError:
    return ArtefactError(
        f"{folder.name[:12]}: Expected {expected}, found {found}; remove the folder {folder}, and it is trained again."
    )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _write(path: Path, data: bytes) -> None:
    with open(path, "xb", opener=partial(os.open, mode=0o600)) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
