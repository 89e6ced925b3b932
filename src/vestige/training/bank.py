"""The bank: trained models by what decides them, shared by runs and by processes.

    BANK/<key>/       a model's files and `done.json`; it appears whole, by one rename, and never changes
    BANK/journal/     half-written folders (`core.half_written`); `ready-*`, whole and on its way to its place
    BANK/claims/      files that are locked: who trains which key, who moves folders

Its listing is the ledger: there is no index that could say something else. A kill leaves a half-written folder, which
is removed when the bank is opened next, or a ready one, whose models are then brought to their places.
"""

import math
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from vestige.core.errors import InputError, OutputError
from vestige.core.half_written import half_written, remove_left_behind
from vestige.training.bank_entry import DONE, read_done, read_files, sync_folder, write_entry
from vestige.training.claims import Claims
from vestige.training.model_key import ModelKey, key_of

Stack = Mapping[str, tuple[ModelKey, Mapping[str, bytes], Mapping[str, Any]]]
"""Models by key: what decided each, its files by name, and what is worth knowing of its training."""

_STACK = "stack"  # what a half-written folder of the journal is called
_MOVING = "journal"  # claimed by whoever publishes or clears away folders of the journal
_KEY = re.compile("[0-9a-f]{64}")
_READY = re.compile("ready-[0-9a-f]{32}")  # what else is in the journal is somebody else's


def default_folder() -> Path:
    """Return the usual place of the bank: VESTIGE_BANK, else in the user's cache.

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

    Who trains claims the keys first and looks again what is there by then; so nothing is trained twice:

        while (claim := bank.claim(keys)) is None:
            bank.wait_for(keys)
        with claim:
            missing = [key for key in keys if not bank.has(key)]
            ...  # train these, and put_all

    Attributes:
        folder: Where it is; `default_folder()` if omitted. Models tell about the records they were trained on:
            folders and files are the owner's alone.

    Raises:
        OutputError: It cannot be opened or written there.

    Example:
        >>> import tempfile
        >>> bank = Bank(Path(tempfile.mkdtemp()) / "bank")
        >>> facts = ModelKey("digest of records", "digest of a row", {"epochs": 3}, seed=0)
        >>> bank.put_all({key_of(facts): (facts, {"weights": b"0123"}, {"seconds": 0.4})})
        >>> bank.get(key_of(facts), facts), bank.keys() == [key_of(facts)]
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
            return sorted(name for name in os.listdir(self.folder) if _KEY.fullmatch(name) and self.has(name))

    def has(self, key: str) -> bool:
        """Tell whether there is a model of this key, without looking into it."""
        return os.path.isfile(self.folder / key / DONE)

    def get(self, key: str, facts: ModelKey) -> Mapping[str, bytes] | None:
        """Return a model's files, every byte of them checked.

        Args:
            key: The key of the facts.
            facts: What decides the model; what is stored must say the same.

        Returns:
            Contents by file name; None if there is no such model.

        Raises:
            ArtefactError: The entry is of other facts, or not as it was written.
        """
        done = self._done(key, facts)
        return None if done is None else read_files(self.folder / key, done)

    def how(self, key: str, facts: ModelKey) -> Mapping[str, Any] | None:
        """Return what was noted of a model's training; arguments, None and errors as `get`."""
        done = self._done(key, facts)
        return None if done is None else dict(done["how"])

    def put_all(self, models: Stack) -> None:
        """Add models, all or none of them; of a key that is there already the first model stays.

        Args:
            models: Models by key: facts, files by plain name, and what is worth knowing (JSON values).

        Raises:
            InputError: A key is not that of its facts, or something cannot be written as JSON.
            OutputError: The place is full or cannot be written; the bank is as it was.
        """
        for key, (facts, _, _) in models.items():
            if key != key_of(facts):
                raise InputError(f"Expected the key {key_of(facts)[:12]} of these facts, found {key[:12]}.")
        what = f"write {len(models)} models to the bank"
        with self._told(what), half_written(self._journal, _STACK) as staging:
            for key, (facts, files, how) in models.items():
                write_entry(staging / key, key, facts, files, how)
            sync_folder(staging)
            with self._claims.hold(_MOVING):
                ready = staging.rename(staging.with_name(staging.name.replace(f".{_STACK}", "ready")))
                sync_folder(self._journal)  # from here on all of them are in the bank, whatever happens
                self._publish(ready)

    def claim(self, keys: Collection[str]) -> ExitStack | None:
        """Claim all of these keys for training, or none if another holder has one of them; never waits.

        Returns:
            A block to train and put in; None if a key is taken. The claim ends with the block or the process.

        Raises:
            OutputError: The folder's file system does not lock files.
        """
        with self._told("claim models of the bank"):
            claim = self._claims.take(keys)
            if claim is not None and any(map(_READY.fullmatch, os.listdir(self._journal))):
                self._recover()  # the one who had these keys may have been killed on the way
            return claim

    def wait_for(self, keys: Collection[str], until: float = math.inf) -> None:
        """Wait until nobody else is seen to train one of these keys, or `time.monotonic()` is past `until`."""
        with self._told("wait for models of the bank"):
            self._claims.wait(keys, until)

    def _done(self, key: str, facts: ModelKey) -> dict[str, Any] | None:
        with self._told("read a model of the bank"), suppress(FileNotFoundError, NotADirectoryError):
            return read_done(self.folder / key, key, facts)
        return None

    def _recover(self) -> None:
        """Finish or remove what killed processes left in the journal."""
        with self._claims.hold(_MOVING):
            for name in filter(_READY.fullmatch, sorted(os.listdir(self._journal))):
                self._publish(self._journal / name)
            remove_left_behind(self._journal, _STACK)

    def _publish(self, ready: Path) -> None:
        """Bring every model of a ready folder to its place, unless one is there."""
        for entry in sorted(path for path in ready.iterdir() if _KEY.fullmatch(path.name)):
            place = self.folder / entry.name
            if not self.has(entry.name):
                shutil.rmtree(place, ignore_errors=True)  # without `done.json` it is what a hand left of a model
                os.rename(entry, place)
        sync_folder(self.folder)
        # What is half removed must never look ready: it is removed as what it was before.
        ready.rename(ready.with_name(ready.name.replace("ready", f".{_STACK}")))

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Tell what the operating system refuses as one `OutputError`."""
        try:
            yield
        except OutputError:
            raise
        except (OSError, NotImplementedError) as error:  # the latter is filelock's, where there are no locks
            raise OutputError(
                f"Expected to {what} {self.folder}, found: {getattr(error, 'strerror', '') or error}; the models in it "
                "are whole. Make room there, or name another folder with --bank or VESTIGE_BANK."
            ) from None
