"""How names and text from a file are shown in a message."""

import difflib
from collections.abc import Iterable, Sequence


def few(names: Sequence[str], most: int = 8) -> str:
    """Return the first names of a list and how many more there are, on one line whatever the names hold."""
    shown = ", ".join(brief(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def brief(text: str, most: int = 60) -> str:
    """Return text from a file as a message may show it: one line, not too long, with nothing that moves a terminal."""
    line = "".join(c if c.isprintable() else "?" for c in " ".join(text.splitlines()))
    return line if len(line) <= most else f"{line[:most]}..."


def what_is_needed(message: str) -> str:
    """Return what a message expected, without what it found: a report names no record.

    Example:
        >>> what_is_needed("Expected 2 models per record, found 1 for record 7; train more.")
        '2 models per record'
    """
    return message.removeprefix("Expected ").split(", found", 1)[0].rstrip(".")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the cure for a name that is none: the known ones that look like it or hold it, or the first of them all.

    Example:
        >>> nearest("entrop", ["loss", "entropy", "modified_entropy"])
        'you may mean entropy'
    """
    names = list(known)
    close = difflib.get_close_matches(name, names, 3) or [known for known in names if name and name in known][:6]
    return f"you may mean {' or '.join(close)}" if close else f"there are {few(names, 16)}"
