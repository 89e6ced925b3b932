"""A run is a folder: written beside its place and moved there whole, never mixed with another audit's."""

import fcntl
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from vestige.attacks import CATALOGUE, bibtex
from vestige.core.errors import OutputError, RunFolderError
from vestige.core.likelihood_ratio import LikelihoodRatio
from vestige.core.result import AuditResult
from vestige.core.signal_store import FOLDER

MANIFEST = "manifest.json"
PLAN, PARTIAL_PLAN = "shadows.json", "shadows.partial"
"""The plan of shadow models, in the run from its beginning, and what a kill may leave of it."""
STORE, FAILURES = FOLDER, "failures.json"
"""What shadow models answered, and why some could not be trained (disclosive)."""
QUERIES = "queries.sqlite"
"""What was asked of the model, and the answers of one that is far away or has a price (disclosive)."""
SOURCES = "attacks.bib"
"""BibTeX of the papers that the attacks which were played are from."""
_FORMAT = "vestige-run-1"


def prepare(folder: Path) -> None:
    """Refuse a place where no run can be written, before anything is computed.

    Raises:
        OutputError: A file is in the way, or the folder cannot be made.
        RunFolderError: The folder holds something that is not a run.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"Expected a folder for the run, found a file at {folder}; name another with --out.")
    ours = any((folder / name).is_file() for name in (MANIFEST, PLAN, QUERIES))
    if not ours and folder.is_dir() and any(path.name != PARTIAL_PLAN for path in folder.iterdir()):
        raise RunFolderError(
            f"Expected an empty folder or an earlier run of this audit, found other files in {folder}; name another "
            "with --out."
        )
    _remove_leftovers(folder)
    there = next(parent for parent in folder.absolute().parents if parent.exists())
    try:
        with tempfile.TemporaryDirectory(dir=there, prefix=".vestige-"):
            pass
    except OSError as error:
        raise OutputError(
            f"Expected to write to {there}, found {_reason(error)}; name another place with --out."
        ) from None


def forget_queries(folder: Path) -> None:
    """Remove the ledger of a run, so that the audit, played again, counts its own queries."""
    for path in folder.glob(f"{QUERIES}*"):
        path.unlink()


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other processes from working in a run at the same time; one that is killed is in nobody's way.

    Raises:
        RunFolderError: Another process is at it.
        OutputError: The folder cannot be made.
    """
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise OutputError(
            f"Expected to write the run to {folder}, found {_reason(error)}; name another place with --out."
        ) from None
    try:
        with suppress(OSError):  # a file system without locks
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunFolderError(
                    f"Expected to be alone in {folder.name}, found another process that trains shadow models there; "
                    "wait for it, or name another folder with --out."
                ) from None
        yield
    finally:
        os.close(descriptor)
        if made:
            with suppress(OSError):  # only if nothing came of it
                folder.rmdir()


def write(result: AuditResult, folder: Path, asked: Mapping[str, Any] | None = None) -> None:
    """Write every file of a run, or none.

    Args:
        result: A finished audit.
        folder: Where to; an earlier run of the same audit is replaced.
        asked: What the command line was asked, for `audit.toml`.

    Raises:
        RunFolderError: The folder holds an audit of other inputs or options.
        OutputError: It cannot be written; nothing is left behind.
    """
    manifest = _manifest(result)
    if folder.is_dir() and (folder / MANIFEST).is_file():
        _same_audit(folder, manifest)
    partial = None
    made = [parent for parent in folder.absolute().parents if not parent.exists()]
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-{os.getpid()}-"))
        _write_files(result, partial, manifest, asked or {})
        _move(partial, folder)
    except OSError as error:
        raise OutputError(
            f"Expected to write the run to {folder}, found {_reason(error)}; nothing was written. Make room or name "
            "another place with --out."
        ) from None
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)
        with suppress(OSError):  # parents made for nothing go again; those that now hold the run do not
            for parent in made:
                parent.rmdir()


def _remove_leftovers(folder: Path) -> None:
    """Remove what a killed process left half-written beside the folder: it holds the disclosive records too."""
    for path in folder.absolute().parent.glob(f".{folder.name}-*-*"):
        process = path.name.removeprefix(f".{folder.name}-").partition("-")[0]
        if process.isdecimal() and not Path("/proc", process).exists() and Path("/proc/self").exists():
            shutil.rmtree(path, ignore_errors=True)


def _reason(error: OSError) -> str:
    if isinstance(error, OutputError) and isinstance(error.__cause__, OSError):
        error = error.__cause__  # said already, of a folder that is gone by now
    return error.strerror or str(error).splitlines()[0]


def _manifest(result: AuditResult) -> dict[str, Any]:
    p = result.provenance
    return {
        "format": _FORMAT,
        "vestige": p.vestige_version,
        "versions": dict(p.versions),
        "created": p.created,
        "seed": p.seed,
        "inputs": {"target": p.target_digest, "shadow": p.shadow_digest, "references": p.reference_digest},
        "attacks": {name: digest or "ours" for name, digest in p.attacks.items()},
        "options": dict(p.options),
        "likelihood_ratio": dict(p.likelihood_ratio),
    }


def _same_audit(folder: Path, manifest: Mapping[str, Any]) -> None:
    try:
        there = json.loads((folder / MANIFEST).read_text())
        found = {key: there[key] for key in ("format", "inputs", "attacks", "options")}
        # Runs of before there was a choice played LiRA as the defaults do.
        usual = LikelihoodRatio().as_text() if manifest["likelihood_ratio"] else {}
        found["likelihood_ratio"] = there.get("likelihood_ratio", usual)
    except (OSError, ValueError, KeyError, TypeError):
        raise RunFolderError(
            f"Expected a run's {MANIFEST} in {folder}, found one that cannot be read; name another folder with --out."
        ) from None
    for key, value in found.items():
        if value != manifest[key]:
            raise RunFolderError(
                f"Expected {folder} to hold a run of the same {key}, found {_short(value)} there and "
                f"{_short(manifest[key])} here; name another folder with --out."
            )


def _short(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {str(v)[:12] or 'none'}" for k, v in value.items())
    return str(value)


def _write_files(result: AuditResult, folder: Path, manifest: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    from vestige.report import write_json, write_page, write_records, write_results, write_targets

    folder.chmod(0o755)
    write_results(result.results, folder)
    write_records(result.records, folder)
    if len(result.targets):
        write_targets(result.targets, folder)
    write_json(result, folder)
    write_page(result, folder)
    (folder / SOURCES).write_text(_sources(result))
    said = {"attacks": {"use": list(result.provenance.attacks)}, "options": dict(result.provenance.options)}
    (folder / "audit.toml").write_text(_toml({**asked, **said}))
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")


def _sources(result: AuditResult) -> str:
    """BibTeX of what was played; of an own attack a comment, because only its author knows its paper."""
    ours = {attack.name for attack in CATALOGUE}
    own = [f"% {model.attack}: {model.source}\n" for model in result.threat_models if model.attack not in ours]
    return bibtex(*(model.attack for model in result.threat_models if model.attack in ours)) + "".join(own)


def _toml(tables: Mapping[str, Any]) -> str:
    """TOML of tables of text, numbers, lists and mappings."""
    lines = ["# What was asked, every default written out; an empty name is the column of that name, if there is one."]
    for table, entries in tables.items():
        lines.append(f"\n[{table}]")
        lines += [f"{_key(key)} = {_value(value)}" for key, value in entries.items()]
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return name if name.isidentifier() and name.isascii() else _value(name)


def _value(value: Any) -> str:
    """A value; a JSON string is a TOML basic string but for the delete character."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(str(k))} = {_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # TOML's inf and nan, which JSON does not have
    return json.dumps(value, ensure_ascii=False).replace(chr(127), "\\u007f")


def _move(partial: Path, folder: Path) -> None:
    """Put a finished folder in its place; over an earlier run file by file, the manifest last."""
    if not folder.exists():
        os.rename(partial, folder)
        return
    names = sorted((path.name for path in partial.iterdir()), key=lambda name: name == MANIFEST)
    for name in names:
        os.replace(partial / name, folder / name)
