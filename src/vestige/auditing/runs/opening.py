"""A finished run, read from its folder: the same values that the audit returned."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from vestige.auditing.finished import FinishedAudit
from vestige.auditing.run_folder import MANIFEST, PLAN, QUERIES, digest_of_file
from vestige.core.errors import RunFolderError
from vestige.core.half_written import is_half_written
from vestige.core.result import RESULT_DTYPES, Preflight, Provenance, Queries
from vestige.report.document import ReportDocument, read_document

_NEEDED = ("report.json", "results.parquet")


def open_run(folder: str | Path) -> FinishedAudit:
    """Read a finished run.

    Args:
        folder: Of the run, as `audit(..., run=folder)` or `vestige audit --out` wrote it. Without `records.parquet`, as
            a run is released, its table of records is empty.

    Returns:
        The audit, as it was returned.

    Raises:
        RunFolderError: There is no run, it is not finished, a file of it was changed since, or it cannot be read.

    Example:
        >>> import tempfile
        >>> import numpy as np, vestige
        >>> from vestige.core.outputs import Probabilities
        >>> draw = np.random.default_rng(0)
        >>> target = vestige.Predictions(
        ...     Probabilities(draw.dirichlet(np.ones(3), 200)),
        ...     labels=draw.integers(3, size=200),
        ...     member=np.arange(200) % 2 == 0,
        ... )
        >>> audited = vestige.audit(target, run=(folder := tempfile.mkdtemp()))
        >>> str(open_run(folder)) == str(audited)
        True
    """
    folder = Path(folder)
    manifest = manifest_of(folder)
    contents = {name: _content(folder, name, manifest) for name in _NEEDED}
    document = read_document(contents["report.json"], str(folder / "report.json"))
    return FinishedAudit(
        preflight=Preflight(document.validity.checks),
        queries=_queries(document),
        results=_table(folder, "results.parquet", manifest)[list(RESULT_DTYPES)].astype(dict(RESULT_DTYPES)),
        records=_table(folder, "records.parquet", manifest),
        targets=_table(folder, "targets.parquet", manifest),
        provenance=_provenance(document, manifest),
        **{name: getattr(document, name) for name in _SAME},
    )


def write_page_anew(result: FinishedAudit, folder: Path, comparison: Path | None = None) -> Path:
    """Write the pages of a finished run anew, the summary as a PDF too, and their digests.

    Args:
        result: The run, as it was read from the folder.
        folder: Of the run.
        comparison: Folder of a comparison of defences; that of the run, if one lies there, if omitted.

    Returns:
        Path of the page.

    Raises:
        InputError: The comparison cannot be read.
        OutputError: A page cannot be written.
    """
    from vestige.report import write_page, write_summary
    from vestige.report.comparison_page import defences_compared
    from vestige.report.files import replacing
    from vestige.report.summary import write_pdf

    manifest, defences = manifest_of(folder), defences_compared(comparison or folder)
    write_page(result, folder, defences)
    write_summary(result, folder, defences)
    names = ["report.html", "summary.html", *(["summary.pdf"] if write_pdf(result, folder, defences) else [])]
    if "files" in manifest:
        manifest["files"] |= {name: digest_of_file((folder / name).read_bytes()) for name in names}
        with replacing(folder / MANIFEST) as file:
            file.write((json.dumps(manifest, indent=2) + "\n").encode())
    return folder / names[0]


_SAME = ("adversary", "threat_models", "finding", "rocs", "histograms", "spread", "power", "risk", "not_run")
"""What a document has as the result has it."""


def manifest_of(folder: Path) -> dict[str, Any]:
    """Return the manifest of a finished run.

    Raises:
        RunFolderError: There is no such run, or it is not finished.
    """
    if not folder.is_dir():
        raise RunFolderError(f"Expected the folder of a run, found none at {folder}; vestige audit --out makes one.")
    if not (folder / MANIFEST).is_file():
        begun = any((folder / name).is_file() for name in (PLAN, QUERIES))
        begun = begun or any(is_half_written(path, folder.name) for path in folder.iterdir())
        if begun:
            raise RunFolderError(
                f"Expected a finished run, found one in {folder} that was stopped; the command that began it goes on."
            )
        raise RunFolderError(f"Expected a run in {folder}, found no {MANIFEST}; name the folder given as --out.")
    try:
        found = json.loads((folder / MANIFEST).read_bytes())
        if isinstance(found["format"], str) and isinstance(found["inputs"], dict):
            return dict(found)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise RunFolderError(f"Expected a run's {MANIFEST} in {folder}, found one that cannot be read; audit again.")


def _content(folder: Path, name: str, manifest: Mapping[str, Any]) -> bytes:
    """A file, held against its digest."""
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise RunFolderError(
            f"Expected {name} in the run {folder}, found {error.strerror}; audit again, or copy the whole folder."
        ) from None
    written = manifest.get("files", {}).get(name)  # runs of before manifests had digests are read as they are
    found = digest_of_file(content)
    if written not in (None, found):
        raise RunFolderError(
            f"Expected {name} in {folder} as the audit wrote it (SHA-256 {str(written)[:12]}...), found another "
            f"({found[:12]}...): it was changed since; take the run from where it was made."
        )
    return content


def _table(folder: Path, name: str, manifest: Mapping[str, Any]) -> pd.DataFrame:
    """A table of a run; empty where there is none."""
    if name not in _NEEDED and not (folder / name).exists():
        return pd.DataFrame()
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table: pd.DataFrame = pq.read_table(pa.BufferReader(_content(folder, name, manifest))).to_pandas()
        return table
    except (pa.ArrowException, ValueError, OSError) as error:
        if isinstance(error, RunFolderError):
            raise
        raise RunFolderError(
            f"Expected a table in {folder / name}, found {type(error).__name__}; audit again."
        ) from None


def _queries(document: ReportDocument) -> Queries | None:
    part = document.queries
    return None if part is None else Queries(**{k: v for k, v in part.model_dump().items() if k != "cost"})


def _provenance(document: ReportDocument, manifest: Mapping[str, Any]) -> Provenance:
    """What the numbers stand on; what the document leaves out, because it may name a place, is in the manifest."""
    part = document.provenance
    return Provenance(
        **{name: getattr(part, name) for name in type(part).model_fields},
        attacks={name: "" if told == "ours" else told for name, told in manifest.get("attacks", {}).items()},
        likelihood_ratio=manifest.get("likelihood_ratio", {}),
        defence=manifest.get("defence", {}),
    )
