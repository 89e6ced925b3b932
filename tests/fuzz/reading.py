"""Many damaged files of one format, each read in this process: what is read, what is refused, and what is neither."""

import collections
import signal
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tests.fuzz.formats import Fuzzed, emptied
from tests.fuzz.mutants import damaged

from vestige.core.errors import VestigeError

_SECONDS = 20  # for a file of a few kilobytes


@dataclass
class Outcome:
    """What came of the mutants of a format.

    Attributes:
        n: How many.
        n_inside: How many of them in a container whose checksums are right.
        n_read: How many were read.
        n_read_inside: How many of those in a sound container were.
        seconds: In all.
        faults: What ended otherwise than in a value or one line, and the seed of it.
    """

    n: int = 0
    n_inside: int = 0
    n_read: int = 0
    n_read_inside: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """All of it, and the share that was read."""
        share = self.n_read_inside / self.n_inside if self.n_inside else None
        return {**asdict(self), "seconds": round(self.seconds, 1), "share_read_inside": share and round(share, 3)}


class _TooLong(BaseException):
    pass


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raise in this process if it takes longer."""

    def ring(*_: object) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def read_mutants(fuzzed: Fuzzed, n: int, folder: Path, first: int = 0) -> Outcome:
    """Read mutants by their seeds; every other one is damaged inside a container that stays sound."""
    files = fuzzed.make(emptied(folder))
    sound = {path: path.read_bytes() for path in files}
    fuzzed.read(folder)
    found, begun = Outcome(), time.perf_counter()
    for seed in range(first, first + n):
        rng = np.random.default_rng([seed, *fuzzed.name.encode()])
        path, inside = files[int(rng.integers(len(files)))], seed % 2 == 1
        mutant = (fuzzed.inside if inside else damaged)(sound[path], rng)
        path.write_bytes(mutant)
        outcome = _outcome(fuzzed, folder)
        path.write_bytes(sound[path])
        found.n += 1
        found.n_inside += inside
        found.n_read += not outcome
        found.n_read_inside += inside and not outcome
        if outcome and outcome != "refused":
            found.faults.append(f"{seed} ({path.name}): {outcome}")
    found.seconds = time.perf_counter() - begun
    return found


def _outcome(fuzzed: Fuzzed, folder: Path) -> str:
    """Empty if it was read, `refused` if in one line, else what is wrong."""
    try:
        with limited(_SECONDS), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fuzzed.read(folder)
    except VestigeError as error:
        message = str(error)
        is_line = "\n" not in message and message.isprintable()
        return "refused" if is_line else f"not one line: {message!r}"
    except _TooLong:
        return f"not done in {_SECONDS} s"
    except BaseException as error:  # libraries in Rust raise what is no Exception
        return f"{type(error).__name__}: {str(error)[:200]}"
    return ""


def kinds(faults: list[str]) -> dict[str, int]:
    """How many faults there are of each kind."""
    return dict(collections.Counter(fault.split("): ", 1)[1][:60] for fault in faults))
