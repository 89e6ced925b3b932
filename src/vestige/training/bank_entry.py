"""One entry of the bank: a folder with a model's files and `done.json`, which has their sizes and checksums."""

import hashlib
import json
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from vestige.core.errors import ArtefactError, InputError
from vestige.core.messages import brief
from vestige.training.model_key import ModelKey, plain, spelled

DONE = "done.json"
_FORMAT = "vestige-model-1"


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
