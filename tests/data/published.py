"""Files as publishers write them, whole and damaged, and where the real ones are."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest


def tarred(path: Path, files: dict[str, bytes], *, mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def foldered(path: Path, files: dict[str, bytes]) -> Path:
    path.mkdir(exist_ok=True)
    for name, content in files.items():
        (path / Path(name).name).write_bytes(content)
    return path


def cut(path: Path, n_bytes: int) -> Path:
    """Leave out the last bytes of a file."""
    path.write_bytes(path.read_bytes()[:-n_bytes])
    return path


def flipped(path: Path, at: int) -> Path:
    """Flip one bit of a file."""
    content = bytearray(path.read_bytes())
    content[at] ^= 0x10
    path.write_bytes(content)
    return path


def real(name: str) -> Path:
    """A file or folder of real data, or a skipped test where there is none."""
    root = os.environ.get("VESTIGE_DATA")
    path = Path(root or ".") / name
    if root is None or not path.exists():
        pytest.skip(f"no {name} in the folder that VESTIGE_DATA names")
    return path
