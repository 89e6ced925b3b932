"""Mixtures: which copies on the way to records of other classes still get a record's true class.

Noise may be too weak to change any answer, or so strong that it changes all. On the way to a record of another class
the answer changes somewhere, whatever the features, and the later, the surer the model is.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.core.errors import InputError
from vestige.core.inputs import InputSpace
from vestige.core.targets import LabelTarget
from vestige.signals.label_only.copies import correct_copies
from vestige.signals.label_only.keyed_draws import KeyedDraws

_GOLDEN = (5**0.5 - 1) / 2  # multiples of it, less whole numbers, are spread evenly, however many are taken


@dataclass(frozen=True)
class MixtureStrength:
    """How far copies go towards other records.

    Attributes:
        towards: Mean share of the other record in a copy; shares are spread evenly from half of it to one and a half.

    Raises:
        InputError: It is not above 0, or more than 2/3, where copies would go past the other record.

    Example:
        >>> MixtureStrength(0.2)
        MixtureStrength(towards=0.2)
    """

    towards: float

    def __post_init__(self) -> None:
        if not 0 < self.towards <= 2 / 3:
            raise InputError(
                f"Expected a mean share of the other record above 0, at most 2/3, found {self.towards:g}; 0.2 is usual."
            )

    def shares(self, first: int, last: int) -> Float[np.ndarray, " draw"]:
        """Return the share of the other record in draws `first` to `last - 1`."""
        return np.asarray(self.towards * (0.5 + np.arange(first, last) * _GOLDEN % 1))


class Mixtures:
    """Copies between records and others of another class: numbers in between, bits of either.

    Args:
        space: What inputs may be; tells which features are bits.
        inputs: All records, an array.
        labels: Their classes.
        strength: How far copies go.
        seed: Of the choice of the other record for each draw, and of the bits that are taken from it.

    Raises:
        InputError: All records are of one class, or the inputs are a table with columns.

    Example:
        >>> ends = np.array([[0.0, 0.0], [5.0, 10.0]])
        >>> Mixtures(InputSpace(), ends, np.array([0, 1]), MixtureStrength(0.2), 0).copies(np.array([0]), 0, 3).round(2)
        array([[0.5 , 1.  ],
               [1.12, 2.24],
               [0.74, 1.47]])
    """

    def __init__(
        self,
        space: InputSpace,
        inputs: Any,
        labels: Int[np.ndarray, " record"],
        strength: MixtureStrength,
        seed: int,
    ) -> None:
        if hasattr(inputs, "columns"):
            raise InputError(
                "Expected inputs as an array of numbers for mixtures, found a table with columns; encode it, or take "
                "noisy copies, which change categories to others."
            )
        self._order = np.argsort(labels, kind="stable")
        self._starts, self._ends = (np.searchsorted(labels[self._order], labels, side) for side in ("left", "right"))
        if (self._ends - self._starts == len(labels)).any():
            raise InputError(
                f"Expected records of two classes or more for mixtures, found {len(labels):,} records of one; take "
                "noisy copies."
            )
        self._flat: np.ndarray = inputs.reshape(len(inputs), -1)
        self._shape, self._strength = inputs.shape[1:], strength
        self._bits = np.flatnonzero(space.is_binary(inputs).ravel())
        n_bits = self._bits.size
        self._partner = KeyedDraws(seed, "records to mix with", lambda rng, n: rng.random(n))
        self._taken = KeyedDraws(seed, "bits to take", lambda rng, n: rng.random((n, n_bits), dtype=np.float32))

    def copies(self, rows: Int[np.ndarray, " row"], first: int, last: int) -> np.ndarray:
        """Return draws `first` to `last - 1` of some records, one record's after another, in the inputs' own type.

        Args:
            rows: Which records.
            first: First draw.
            last: The one after the last.
        """
        return np.concatenate([self._of(row, first, last) for row in rows.tolist()]).reshape(-1, *self._shape)

    def _of(self, row: int, first: int, last: int) -> np.ndarray:
        start, end = self._starts[row], self._ends[row]
        place = (self._partner.of(row, first, last) * (len(self._flat) - (end - start))).astype(np.int64)
        other = self._flat[self._order[np.where(place < start, place, place + end - start)]]
        own, shares = self._flat[row], self._strength.shares(first, last)[:, None]
        kind = np.promote_types(own.dtype, np.float32)
        mixed = own + shares.astype(kind) * (other.astype(kind) - own)
        if self._bits.size:
            is_taken = self._taken.of(row, first, last) < shares
            mixed[:, self._bits] = np.where(is_taken, other[:, self._bits], own[self._bits])
        found = mixed if own.dtype.kind == "f" else np.rint(mixed)
        return np.asarray(found.astype(own.dtype))


def mixture_labels(
    target: LabelTarget,
    inputs: Any,
    labels: Int[np.ndarray, " record"],
    space: InputSpace,
    strength: MixtureStrength,
    n_draws: int,
    seed: int,
) -> Bool[np.ndarray, "record draw"]:
    """Ask about mixtures of every record with records of other classes, and return which get its own class.

    A draw depends on the seed, the records and its number alone, as in `noise_labels`: fewer draws are the first
    columns, and every model gets the same inputs. The records themselves are not asked about.

    Args:
        target: What answers with labels.
        inputs: All records, an array.
        labels: Their true classes.
        space: What inputs may be.
        strength: How far copies go.
        n_draws: Copies of each record, a query each.
        seed: Of the draws.

    Returns:
        Whether each copy gets the class of the record.

    Raises:
        InputError: As `Mixtures`.
        TargetError: The target does not answer.
        BudgetError: There is no budget for a batch; earlier ones were asked.

    Example:
        >>> class Half:
        ...     n_classes = 2
        ...
        ...     def labels(self, inputs, records):
        ...         return (inputs[:, 0] > 2.5).astype(int)
        >>> ends, classes = np.array([[0.0], [10.0]]), np.array([0, 1])
        >>> mixture_labels(Half(), ends, classes, InputSpace(), MixtureStrength(0.25), 1000, seed=0).mean(axis=1)
        array([0.5, 1. ])

    Source:
        Ours. Mixtures of two inputs are those of mixup (Zhang et al. 2018), there for training.
    """
    mixtures = Mixtures(space, inputs, labels, strength, seed)
    return correct_copies(target, inputs, labels, np.arange(len(inputs)), n_draws, mixtures.copies)
