"""Class probabilities and their logarithms for a block of records: what the confidence attacks read.

Two ways of the arithmetic, both needed: the stable one (float64, from logits where they are given), and the
one Song & Mittal's published script carries out on whatever dtype it is handed, for reproducing its numbers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

LOG_FLOOR = 1e-30
"""Smallest argument of a logarithm of a given probability (code of Song & Mittal): -log of it is 69.0776."""

SUM_TOLERANCE = 1e-4
"""What a row of probabilities may miss 1 by: the float32 softmax of many classes does."""

_HALVES = {"bfloat16": 2.0**-8, "float16": 2.0**-11}  # what rounding to each changes a number by at most, as a share


def rounding_of(blocks: Iterable[np.ndarray], n_classes: int, fewest: int = 1) -> tuple[str, float]:
    """To what probabilities are rounded, in words, and what a row may therefore miss 1 by; no words if they are not.

    The fewest decimals, `fewest` to 6, that hold every number, else half precision, kept as such or as wider numbers.
    Rounding each of K numbers to d decimals moves their sum by at most K/2 units of the last one; rounding to half
    precision by a share, twice which is allowed, because the sum was rounded too.

    Example:
        >>> rounding_of([np.array([[0.333, 0.333, 0.333]])], 3)[0], rounding_of([np.float16([[0.1234, 0.8766]])], 2)[0]
        ('3 decimals', 'float16')
        >>> rounding_of([np.array([[0.1234567, 0.8765433]])], 2)
        ('', 0.0001)
    """
    decimals, halves = fewest, list(_HALVES)
    for block in blocks:
        wide = block.astype(np.float64)
        while decimals <= 6 and np.abs(wide * 10.0**decimals - np.rint(wide * 10.0**decimals)).max(initial=0) >= 0.05:
            decimals += 1  # float32 holds 6 decimals to that
        halves = [name for name in halves if np.array_equal(_in_half(wide, name), wide)]
    if decimals <= 6:
        return f"{decimals} decimals", min(0.5, 0.5 * n_classes * 10.0**-decimals + 1e-6)
    if halves:
        return halves[0], 2 * _HALVES[halves[0]] + n_classes * 2.0**-24  # the least number that float16 holds
    return "", SUM_TOLERANCE


def _in_half(numbers: np.ndarray, name: str) -> np.ndarray:
    if name == "float16":
        return numbers.astype(np.float16)
    upper_bits = numbers.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
    return upper_bits.view(np.float32)


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassProbabilities:
    """For a block of records and every class: p, 1 - p and their logarithms [nats], and the predicted class."""

    predicted: Int[np.ndarray, " record"]
    p: Float[np.ndarray, "record class"]
    not_p: Float[np.ndarray, "record class"]
    log_p: Float[np.ndarray, "record class"]
    log_not_p: Float[np.ndarray, "record class"]

    @property
    def n_records(self) -> int:
        """Rows of the block."""
        return int(self.p.shape[0])

    def of(
        self, matrix: Float[np.ndarray, "record class"], labels: Int[np.ndarray, " record"]
    ) -> Float[np.ndarray, " record"]:
        """The entry of each record's own class."""
        return np.take_along_axis(matrix, labels[:, None], axis=1)[:, 0]


def from_logits(logits: Any) -> ClassProbabilities:
    """Softmax in float64, with `log(1 - p)` of the top class taken from the *other* classes.

    `1 - p` loses everything below the machine precision where p is near 1, which is where members are. The sum
    over the other classes does not; where even that underflows, their log-sum-exp is used.

    Example:
        >>> z = np.array([[80.0, 1.0, 0.0]])
        >>> c = from_logits(z)
        >>> print(f"{c.log_p[0, 0] - c.log_not_p[0, 0]:.9f}")  # phi; p / (1 - p) would be infinite
        78.686738312

    Source:
        Song & Mittal 2021, section 3.1; the stable form is ours.
    """
    z = np.asarray(logits, dtype=np.float64)
    rows = np.arange(z.shape[0])
    top = z.argmax(axis=1)
    shifted = z - z[rows, top][:, None]
    p = np.exp(shifted)
    p[rows, top] = 0.0
    others = p.sum(axis=1)
    total = 1.0 + others
    log_total = np.log1p(others)
    p /= total[:, None]
    log_p = shifted
    log_p -= log_total[:, None]
    not_p = 1.0 - p
    log_not_p = np.log1p(-p)
    p[rows, top] = 1.0 / total
    not_p[rows, top] = others / total
    log_not_p[rows, top] = _log_of_others(z, top, others) - log_total
    return ClassProbabilities(predicted=top, p=p, not_p=not_p, log_p=log_p, log_not_p=log_not_p)


def _log_of_others(
    z: Float[np.ndarray, "record class"], top: Int[np.ndarray, " record"], others: Float[np.ndarray, " record"]
) -> Float[np.ndarray, " record"]:
    """`log sum_{j != top} exp(z_j - z_top)`, also where the sum itself underflows."""
    tiny = others < 1e-290
    log_others = np.log(np.where(tiny, 1.0, others))
    if tiny.any():
        rest = z[tiny] - z[tiny, top[tiny]][:, None]
        rest[np.arange(rest.shape[0]), top[tiny]] = -np.inf
        second = rest.max(axis=1)
        log_others[tiny] = second + np.log(np.exp(rest - second[:, None]).sum(axis=1))
    return log_others


def from_probabilities(probabilities: Any) -> ClassProbabilities:
    """Given probabilities in float64; every logarithm is that of `max(q, 1e-30)`.

    Rows are not rescaled: what the model answered is what is scored.

    Source:
        Song & Mittal 2021, published code (the floor).
    """
    p = np.maximum(np.asarray(probabilities, dtype=np.float64), 0.0)
    not_p = np.maximum(1.0 - p, 0.0)
    log_not_p = np.where(p < 0.5, np.log1p(-np.minimum(p, 0.5)), np.log(np.maximum(not_p, LOG_FLOOR)))
    return ClassProbabilities(
        predicted=p.argmax(axis=1), p=p, not_p=not_p, log_p=np.log(np.maximum(p, LOG_FLOOR)), log_not_p=log_not_p
    )


def as_published(probabilities: Any) -> ClassProbabilities:
    """Song & Mittal's literal arithmetic: `log(max(q, 1e-30))` of p and of 1 - p, both on the dtype as given.

    On float32, 1 - p is 0 for every p above 1 - 3e-8 and its logarithm the floor.

    Source:
        Song & Mittal 2021, published code.
    """
    p = np.asarray(probabilities)
    p = p.astype(published_dtype(p.dtype), copy=False)
    floor = p.dtype.type(LOG_FLOOR)
    not_p = 1 - p
    return ClassProbabilities(
        predicted=p.argmax(axis=1),
        p=p,
        not_p=not_p,
        log_p=np.log(np.maximum(p, floor)),
        log_not_p=np.log(np.maximum(not_p, floor)),
    )


def published_dtype(given: Any) -> np.dtype[Any]:
    """Return the type of Song & Mittal's literal arithmetic: the given one if it can hold the floor.

    Neither whole numbers nor half precision can; they are taken as float32.

    Example:
        >>> published_dtype(np.float64), published_dtype(np.float16)
        (dtype('float64'), dtype('float32'))
    """
    given = np.dtype(given)
    return np.dtype(np.float32) if given.kind != "f" or given == np.float16 else given


def softmax(logits: Any) -> np.ndarray:
    """Softmax on the dtype as given, the step before Song & Mittal's literal arithmetic when logits are handed in."""
    z = np.asarray(logits)
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))
