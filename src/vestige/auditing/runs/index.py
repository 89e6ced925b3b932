"""An index of the runs in a folder."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from vestige.auditing.run_folder import MANIFEST
from vestige.auditing.runs.opening import open_run
from vestige.core.errors import InputError, RunFolderError
from vestige.report.files import replacing
from vestige.report.index_page import render_index


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One run of an index.

    Attributes:
        name: Its folder, from where the index is.
        target: What the results call the model; empty where the run cannot be read.
        date: When it was made.
        validity: Answer 1; empty where the run cannot be read.
        finding: Answer 3; none of a test that is CONFOUNDED. Or why the run cannot be read.
    """

    name: str
    target: str
    date: str
    validity: str
    finding: str

    def as_dict(self) -> dict[str, str]:
        """The entry as JSON has it."""
        return asdict(self)


def runs_in(folder: Path) -> list[Entry]:
    """Return the runs in a folder and below it, the newest first; one that cannot be read says why.

    Args:
        folder: Where to look.

    Raises:
        InputError: There is no such folder, or no run in it.
    """
    if not folder.is_dir():
        raise InputError(f"Expected a folder with runs, found none at {folder}; check the path.")
    places = sorted(path.parent for path in folder.rglob(MANIFEST))
    if not places:
        raise InputError(f"Expected runs in {folder}, found none; vestige audit --out {folder}/NAME makes one.")
    return sorted((_entry(place, folder) for place in places), key=lambda entry: entry.date, reverse=True)


def write_index(entries: Sequence[Entry], folder: Path) -> Path:
    """Write `index.html` beside the runs: safe to release, it links to their pages.

    Returns:
        Path of the index.

    Raises:
        OutputError: It cannot be written.
    """
    with replacing(folder / "index.html") as file:
        file.write(render_index([entry.as_dict() for entry in entries]).encode())
    return folder / "index.html"


def _entry(place: Path, folder: Path) -> Entry:
    name = place.relative_to(folder).as_posix()
    try:
        opened = open_run(place)
    except RunFolderError as error:
        return Entry(name=name, target="", date="", validity="", finding=str(error))
    return Entry(
        name=name,
        target=str(opened.results["target"].iloc[0]) if len(opened.results) else "",
        date=opened.provenance.created[:19].replace("T", " "),
        validity=str(opened.validity),
        finding=opened.answer,
    )
