"""What a benchmark returns: a ratio, and the bar it must meet."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Bar:
    """One measured ratio.

    `ratio` is `against` divided by `what` where more is better (`at_least`), else `what` divided by `against`.
    `bar` must hold; `goal` is what we want; None where a row is for information.
    """

    name: str
    issue: int
    what: str
    against: str
    ratio: float
    bar: float | None
    goal: float | None
    at_least: bool = False

    @property
    def holds(self) -> bool:
        return self.bar is None or (self.ratio >= self.bar if self.at_least else self.ratio <= self.bar)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"ratio": round(self.ratio, 4), "holds": self.holds}

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        verdict = (
            "for information" if self.bar is None else f"{sign} {self.bar:g}: {'holds' if self.holds else 'MISSED'}"
        )
        return f"{self.name:28} {self.ratio:10.3f}  {verdict:24} {self.what} against {self.against}"


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Shortest of a few runs: the least disturbed one."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best
