"""How names, rates, sums of money and times are written in a sentence, and how a time is read."""

import difflib
import math
import re
from collections.abc import Iterable, Sequence

from vestige.core.errors import InputError

_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600}


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


def percent(rate: float) -> str:
    """Return a rate as percent with two significant digits on the side of the nearer end; below 1 in 100,000 it is 0.

    Example:
        >>> percent(0.0284), percent(0.00034), percent(0.5), percent(0.998)
        ('2.8%', '0.034%', '50%', '99.80%')
    """
    if min(rate, 1 - rate) < 1e-5:
        return f"{100 * round(rate):.0f}%"
    digits = max(0, 1 - math.floor(math.log10(100 * min(rate, 1 - rate))))
    return f"{100 * rate:.{digits}f}%"


def money(amount: float) -> str:
    """Return a sum with two decimals, or with two significant digits where it is smaller.

    Example:
        >>> money(1234.567), money(0.0), money(0.000253)
        ('1,234.57', '0.00', '0.00025')
    """
    return f"{amount:,.2f}" if amount == 0 or amount >= 0.01 else f"{amount:.2g}"


def seconds_of(text: str) -> float:
    """Return a time such as `90s`, `20m` or `1.5h` in seconds.

    Raises:
        InputError: It is no such time.

    Example:
        >>> seconds_of("20m"), seconds_of("1.5h")
        (1200.0, 5400.0)
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise InputError(f"Expected a time such as 90s, 20m or 1.5h, found {text!r}.")
    return float(match[1]) * _SECONDS[match[2]]


def duration(seconds: float) -> str:
    """Return how long something takes.

    Example:
        >>> duration(0.52), duration(45.2), duration(600.0), duration(9000.0)
        ('0.52 s', '45 s', '10 min', '2.5 h')
    """
    if seconds < 120:
        return in_seconds(seconds)
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def in_seconds(seconds: float) -> str:
    """Return a number of seconds with two significant digits; whole seconds from 10 on, and below a hundredth."""
    return f"{seconds:.0f} s" if seconds >= 10 or seconds < 0.01 else f"{seconds:.2g} s"
