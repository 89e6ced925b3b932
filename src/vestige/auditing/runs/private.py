"""`private.html` of a finished run: its records at risk, with what the run knows of them. For the owner alone."""

import io
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pandas as pd

from vestige.auditing.files.tables import read_toml
from vestige.auditing.finished import FinishedAudit
from vestige.auditing.runs.at_risk import members_at_risk
from vestige.core.errors import VestigeError
from vestige.report.comparison_page import defences_compared
from vestige.report.private_page import write_private_page

_PICTURES, _PIXELS = 60, 64


def write_private(audited: FinishedAudit, folder: Path, comparison: Path | None = None) -> Path:
    """Write a run's page for the owner of the data, who alone can read it.

    Args:
        audited: The run, as it was read from the folder, with its table of records.
        folder: Of the run.
        comparison: Folder of a comparison of defences; that of the run, if one lies there, if omitted.

    Returns:
        Path of the page. It is in no manifest: whoever receives the run does not receive it.

    Raises:
        InputError: The run has no records.
        OutputError: It cannot be written.
    """
    members = with_labels(members_at_risk(audited), audited.records)
    settings = folder / "audit.toml"
    return write_private_page(
        audited,
        members,
        folder,
        settings=settings.read_text(encoding="utf-8") if settings.is_file() else "",
        pictures=pictures_of(folder, members.iloc[:_PICTURES, 0].astype(str)),
        defences=defences_compared(comparison or folder),
    )


def with_labels(members: pd.DataFrame, records: pd.DataFrame) -> pd.DataFrame:
    """Return members at risk with their label and groups, where each is a record.

    Args:
        members: As of `members_at_risk`.
        records: Table of records of the same audit.
    """
    if "record" not in members:
        return members
    columns = list(records.columns)
    known = columns[columns.index("id") + 1 : columns.index("member")]
    told = records.set_index("id").loc[members["record"], known].reset_index(drop=True)
    names = [f"group {name}" if name in members else name for name in known]
    return pd.concat([members[["record"]], told.set_axis(names, axis=1), members.drop(columns="record")], axis=1)


def pictures_of(folder: Path, ids: Iterable[str]) -> dict[str, bytes]:
    """Return small JPEGs of records, where the members of a run are a folder of images that is still there.

    Args:
        folder: Of the run.
        ids: Of the records that are wanted.

    Returns:
        By id; without those that cannot be read, and empty without the package that reads images.
    """
    found: dict[str, bytes] = {}
    with suppress(VestigeError, ImportError, KeyError, TypeError):
        from PIL import Image

        root = (folder / read_toml(folder / "audit.toml")["data"]["members"]).resolve()
        if not root.is_dir():
            return {}
        for name in ids:
            path = (root.parent / name).resolve()  # ids begin with the folder's name
            if not path.is_relative_to(root):
                continue
            with suppress(OSError, ValueError, Image.DecompressionBombError):
                with Image.open(path) as image:
                    small = image.convert("RGB")
                small.thumbnail((_PIXELS, _PIXELS))
                small.save(jpeg := io.BytesIO(), "JPEG", quality=80)
                found[name] = jpeg.getvalue()
    return found
