"""Durations as a person says them."""

import re

from vestige.core.errors import InputError

_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600}


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
    """Say how long something takes.

    Example:
        >>> duration(0.52), duration(45.2), duration(600.0), duration(9000.0)
        ('0.52 s', '45 s', '10 min', '2.5 h')
    """
    if seconds < 120:
        return in_seconds(seconds)
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def in_seconds(seconds: float) -> str:
    """Say a number of seconds with as many digits as tell something."""
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"
