"""`index.html` of a folder of runs: one line per run, with a link to its page; no script, nothing is loaded."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from vestige.report.page import template


def render_index(entries: Sequence[Mapping[str, str]]) -> str:
    """Render the index.

    Args:
        entries: Of each run `name` (its folder, from where the index is), `target`, `date`, `validity` and `finding`.

    Example:
        >>> entry = {
        ...     "name": "run 1",
        ...     "target": "model",
        ...     "date": "2026-11-30",
        ...     "validity": "VALID",
        ...     "finding": "UNDECIDED",
        ... }
        >>> 'href="run%201/report.html"' in render_index([entry])
        True
    """
    return template("index.html.j2").render(
        entries=[{**one, "page": quote(f"{one['name']}/report.html")} for one in entries]
    )
