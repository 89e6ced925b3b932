"""A run is a folder: written under another name and then renamed, and never mixed with the run of another audit."""

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from vestige.attacks import CATALOGUE, bibtex
from vestige.auditing.stopping import cleaning_up_when_stopped
from vestige.core.errors import OutputError, RunFolderError
from vestige.core.half_written import LOCK, MARK, half_written, is_half_written, remove_left_behind, settle
from vestige.core.likelihood_ratio import LikelihoodRatio
from vestige.core.result import AuditResult
from vestige.data.signals.store import FOLDER
from vestige.report.renderer import RENDERER, NotDrawn

MANIFEST = "manifest.json"
PLAN = "shadows.json"
"""The plan of shadow models, in the run from its beginning."""
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
    if os.path.lexists(folder) and not folder.is_dir():
        found = "a link to nothing" if folder.is_symlink() else "a file"
        raise OutputError(f"Expected a folder for the run, found {found} at {folder}; name another with --out.")
    with _writing_to(folder, "name another place with --out."), _parents(folder) as where:
        for place in {folder.parent, where}:  # beside it too: there was no folder when the other was killed
            remove_left_behind(place, folder.name)
        others = [path for path in folder.iterdir() if path.name != LOCK] if folder.is_dir() else []
        others = [path for path in others if not any(is_half_written(path, n) for n in (folder.name, PLAN))]
        if others and not any((folder / name).is_file() for name in (MANIFEST, PLAN, QUERIES)):
            raise RunFolderError(
                f"Expected an empty folder or an earlier run of this audit, found other files in {folder}; name "
                "another with --out."
            )
        with half_written(where, folder.name):
            pass
    with suppress(NotDrawn):  # the page will say it
        RENDERER.begin()  # it is ready when the numbers are


@contextmanager
def _writing_to(folder: Path, cure: str) -> Iterator[None]:
    """Tell what the operating system refuses as one `OutputError`."""
    try:
        yield
    except OSError as error:
        if isinstance(error, OutputError) and isinstance(error.__cause__, OSError):
            error = error.__cause__  # said already, of a folder that is gone by now
        found = error.strerror or str(error).splitlines()[0]
        raise OutputError(f"Expected to write the run to {folder}, found {found}; {cure}") from None


@contextmanager
def _parents(folder: Path) -> Iterator[Path]:
    """Where a run is written before it has its name; folders that are made for it go again if nothing comes of it.

    In the folder itself if there is one: it may be a mounted disk, and what is beside it on another.
    """
    made = [parent for parent in folder.absolute().parents if not parent.exists()]
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        yield folder if folder.is_dir() else folder.parent
    finally:
        with suppress(OSError):  # those that now hold the run do not
            for parent in made:
                parent.rmdir()


def forget_queries(folder: Path) -> None:
    """Remove the ledger of a run, so that the audit, played again, counts its own queries."""
    for end in ("", "-wal", "-shm", "-journal"):  # by name: other files beside it, such as a user's copy, stay
        (folder / f"{QUERIES}{end}").unlink(missing_ok=True)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other processes from working in a run at the same time; a killed process blocks no other.

    Raises:
        RunFolderError: Another process is at it.
        OutputError: The folder cannot be made.
    """
    from filelock import FileLock, Timeout

    made, lock = not folder.exists(), FileLock(folder / LOCK, mode=0o600)
    with _writing_to(folder, "name another place with --out."):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with suppress(NotImplementedError):  # a file system without locks
                lock.acquire(timeout=0)
        except Timeout:
            raise RunFolderError(
                f"Expected to be alone in {folder.name}, found another process that trains shadow models there; wait "
                "for it, or name another folder with --out."
            ) from None
    try:
        yield
    finally:
        with suppress(OSError):  # it is open still, which Windows minds and then removes it itself
            (folder / LOCK).unlink()
        lock.release()
        if made:
            with suppress(OSError):  # only if nothing came of it
                folder.rmdir()


def refuse_another(folder: Path | None, **known: Any) -> None:
    """Refuse the run of another audit as soon as enough of this one is known, before more is computed.

    Args:
        folder: Of the run; nothing is refused if None, or if no run is finished there.
        known: What is known of a manifest: `attacks`, `options`, `defence`, or some of the `inputs`; what is left out
            may differ.

    Raises:
        RunFolderError: It is another's.
    """
    if folder is not None and (folder / MANIFEST).is_file():
        _same_audit(folder, known)


def refuse_without(folder: Path, name: str) -> None:
    """Refuse a finished run that lacks a file which this audit's would have, before anything is computed.

    Raises:
        RunFolderError: It lacks it.
    """
    if (folder / MANIFEST).is_file() and not (folder / name).is_file():
        raise RunFolderError(
            f"Expected {folder} to hold a run of the same audit, found one without {name}; name another folder with "
            "--out."
        )


def attacks_and_options(asked: Mapping[str, str], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return attacks and options as a manifest holds them."""
    return {"attacks": {name: digest or "ours" for name, digest in asked.items()}, "options": dict(options)}


def what_is_kept(folder: Path) -> str:
    """Say what an audit that was stopped leaves in its folder, and how to go on."""
    kept = ["the earlier run"] if (folder / MANIFEST).is_file() else []
    kept += ["the count of queries and the answers that are kept"] if (folder / QUERIES).is_file() else []
    kept += ["what shadow models answered, and the models in the bank"] if (folder / PLAN).is_file() else []
    if not kept:
        return "nothing was written; the same command starts again."
    return f"kept in {folder}: {', '.join(kept)}; the same command goes on from there."


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
    kept = "nothing was written. Make room or name another place with --out."
    with (
        _writing_to(folder, kept),
        cleaning_up_when_stopped(),
        _parents(folder) as where,
        half_written(where, folder.name) as partial,
    ):
        _write_files(result, partial, manifest, asked or {})
        _move(partial, folder)


def digest_of_file(content: bytes) -> str:
    """Return the digest by which a manifest knows a file."""
    return hashlib.sha256(content).hexdigest()


def _manifest(result: AuditResult) -> dict[str, Any]:
    p = result.provenance
    return {
        "format": _FORMAT,
        "vestige": p.vestige_version,
        "versions": dict(p.versions),
        "created": p.created,
        "seed": p.seed,
        "inputs": {"target": p.target_digest, "shadow": p.shadow_digest, "references": p.reference_digest},
        **attacks_and_options(p.attacks, p.options),
        "likelihood_ratio": dict(p.likelihood_ratio),
        "defence": dict(p.defence),
    }


def _same_audit(folder: Path, manifest: Mapping[str, Any]) -> None:
    try:
        there = json.loads((folder / MANIFEST).read_text())
        earlier = {key: there[key] for key in ("format", "inputs", "attacks", "options")}
        earlier["inputs"] = {name: earlier["inputs"][name] for name in manifest.get("inputs", {})}
        # Runs of before there was a choice played LiRA as the defaults do.
        usual = LikelihoodRatio().as_text() if manifest.get("likelihood_ratio") else {}
        earlier["likelihood_ratio"] = there.get("likelihood_ratio", usual)
        earlier["defence"] = there.get("defence", {})  # of before there was one
    except (OSError, ValueError, KeyError, TypeError):
        raise RunFolderError(
            f"Expected a run's {MANIFEST} in {folder}, found one that cannot be read; name another folder with --out."
        ) from None
    for key, value in earlier.items():
        if key in manifest and value != manifest[key]:
            raise RunFolderError(
                f"Expected {folder} to hold a run of the same {key}, found {_short(value)} there and "
                f"{_short(manifest[key])} here; name another folder with --out."
            )


def _short(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {str(v)[:12] or 'none'}" for k, v in value.items())
    return str(value)


def _write_files(result: AuditResult, folder: Path, manifest: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    from vestige.report import write_json, write_page, write_records, write_results, write_summary, write_targets

    write_results(result.results, folder)
    write_records(result.records, folder)
    if len(result.targets):
        write_targets(result.targets, folder)
    write_json(result, folder)
    (folder / SOURCES).write_text(_sources(result))
    played = result.provenance.attacks
    of_ours = {name: json.loads(options) for name, options in played.items() if options.startswith("{")}
    said = {"attacks": {"use": list(played), **of_ours}, "options": dict(result.provenance.options)}
    (folder / "audit.toml").write_text(_toml({**asked, **said}))
    write_page(result, folder)
    write_summary(result, folder)
    files = {
        path.name: digest_of_file(path.read_bytes())
        for path in sorted(folder.iterdir())
        if path.name not in (MARK, LOCK)
    }
    (folder / MANIFEST).write_text(json.dumps({**manifest, "files": files}, indent=2) + "\n")


def _sources(result: AuditResult) -> str:
    """BibTeX of what was played; of a custom attack a comment, because only its author knows its paper."""
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
        folder.chmod(0o755)  # not before: a half-written run is for its owner alone
        settle(folder)
        return
    names = sorted({path.name for path in partial.iterdir()} - {MARK, LOCK}, key=lambda name: (name == MANIFEST, name))
    for name in names:
        os.replace(partial / name, folder / name)
    settle(folder)  # of a process that was killed between giving the folder its name and this
