"""Noise robustness: which noisy copies of a record still get its true class.

Numbers get Gaussian noise, features that are only 0 or 1 are flipped, and a category becomes another allowed one: every
query is an input that the model could be given.
"""

from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.core.errors import InputError
from vestige.core.input_values import as_numbers, codes_of
from vestige.core.inputs import InputSpace
from vestige.core.targets import LabelTarget
from vestige.signals.label_only.copies import correct_copies
from vestige.signals.label_only.keyed_draws import KeyedDraws


@dataclass(frozen=True)
class NoiseStrength:
    """How much noise, for each kind of feature.

    Attributes:
        gaussian: Standard deviation of what is added to numbers, as a share of the feature's range.
        flips: Probability that a feature of 0 and 1 is flipped, or that a category becomes another one.
        in_units: Whether `gaussian` is in the units of the records instead, the same for every feature.

    Raises:
        InputError: A number is out of range.

    Example:
        >>> NoiseStrength(flips=0.02)
        NoiseStrength(gaussian=0.0, flips=0.02, in_units=False)
    """

    gaussian: float = 0.0
    flips: float = 0.0
    in_units: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.gaussian < np.inf or not 0 <= self.flips <= 1 or not max(self.gaussian, self.flips):
            raise InputError(
                f"Expected a standard deviation from 0 on and a probability in 0..1, one of them above 0, found "
                f"{self.gaussian:g} and {self.flips:g}; such as gaussian=0.05 for images, flips=0.02 for binary tables."
            )


class NoiseOptions(TypedDict, total=False):
    """What may be said beside of asking about noisy copies.

    Attributes:
        pool: Inputs that kinds and ranges of features are taken from, as far as the space does not declare them; those
            that are asked about if omitted. Give all records if these are a part of them.
        batch_size: Queries per batch; as `correct_copies`.
    """

    pool: Any
    batch_size: int | None


def noise_labels(
    target: LabelTarget,
    inputs: Any,
    labels: Int[np.ndarray, " record"],
    records: Int[np.ndarray, " record"],
    space: InputSpace,
    strength: NoiseStrength,
    n_draws: int,
    seed: int,
    **options: Unpack[NoiseOptions],
) -> Bool[np.ndarray, "record draw"]:
    """Ask about noisy copies of every record, and return which of them get its true class.

    The noise depends on the seed, the record's number and the number of the draw alone: fewer draws are the first
    columns, and every model and every restart gets the same inputs. The records themselves are not asked about.

    Args:
        target: What answers with labels.
        inputs: The records, an array or a DataFrame.
        labels: Their true classes.
        records: Which record of the audit each is: for the ledger, and for the noise.
        space: What inputs may be. Copies stay in its range and its categories.
        strength: How much noise.
        n_draws: Noisy copies of each record, a query each.
        seed: Of the noise.
        options: As `NoiseOptions`.

    Returns:
        Whether each copy gets the true class.

    Raises:
        InputError: Inputs are not of this space, lengths do not fit, or nothing would be moved by this noise.
        TargetError: The target does not answer.
        BudgetError: There is no budget for a batch; earlier ones were asked.

    Example:
        >>> class First:
        ...     n_classes = 2
        ...
        ...     def labels(self, inputs, records):
        ...         return inputs[:, 0]
        >>> bits, numbers, half = np.array([[0, 1], [1, 0]]), np.arange(2), NoiseStrength(flips=0.5)
        >>> noise_labels(First(), bits, bits[:, 0], numbers, InputSpace(), half, 1000, seed=0).mean(axis=1).round(1)
        array([0.5, 0.5])

    Source:
        Choquette-Choo et al. 2021, section 3.4: Gaussian noise for continuous, Bernoulli noise for binary features.
        Deviations: Gaussian noise is relative to a feature's range (in 0..1 the same; `in_units` for their Adult); of
        integers it is rounded; in a DataFrame a category becomes any other one, where they flip bits of its encoding.
    """
    pool = options.get("pool")
    noise = Noise(space, inputs if pool is None else pool, strength, seed)
    space.check(inputs)

    def make(rows: np.ndarray, first: int, last: int) -> Any:
        part = inputs.iloc[rows] if hasattr(inputs, "iloc") else inputs[rows]
        return noise.copies(part, records[rows], first, last)

    return correct_copies(target, inputs, labels, records, n_draws, make, batch_size=options.get("batch_size"))


class Noise:
    """Noisy copies of inputs of one space.

    Args:
        space: What inputs may be.
        pool: Inputs that kinds and ranges of features are taken from, as far as the space does not declare them.
        strength: How much noise.
        seed: Of the noise.

    Raises:
        InputError: Nothing would be moved, or the inputs are not of this space.

    Example:
        >>> noise = Noise(InputSpace(low=0, high=255), np.full((1, 3), 250, np.uint8), NoiseStrength(0.1), seed=0)
        >>> copies = noise.copies(np.full((1, 3), 250, np.uint8), np.array([0]), 0, 100)
        >>> copies.shape, copies.dtype, copies.max()
        ((100, 3), dtype('uint8'), np.uint8(255))
    """

    def __init__(self, space: InputSpace, pool: Any, strength: NoiseStrength, seed: int) -> None:
        self._space, self._flips = space, strength.flips
        low, high = (side.ravel() for side in space.bounds(pool))
        is_binary = space.is_binary(pool).ravel()
        self._categories = _categories_of(space, pool)
        is_number = np.isfinite(low) & np.isfinite(high) & ~is_binary
        spread = np.where(is_number, 1.0 if strength.in_units else high - low, 0.0) * strength.gaussian
        self._numbers, self._bits = np.flatnonzero(is_number & (spread > 0)), np.flatnonzero(is_binary)
        if not (self._numbers.size or (strength.flips and (self._bits.size or self._categories))):
            raise InputError(
                f"Expected noise that moves some feature, found gaussian {strength.gaussian:g} and flips "
                f"{strength.flips:g} for {self._bits.size:,} features of 0 and 1, {len(self._categories):,} columns of "
                "categories and no other feature that varies; give the one that fits these kinds."
            )
        self._spread, self._low, self._high = (side[self._numbers] for side in (spread, low, high))
        n_numbers, n_bits, n_categories = self._numbers.size, self._bits.size, len(self._categories)
        self._gaussian = KeyedDraws(
            seed, "gaussian noise", lambda rng, n: rng.standard_normal((n, n_numbers), dtype=np.float32)
        )
        self._uniform = KeyedDraws(seed, "flips of bits", lambda rng, n: rng.random((n, n_bits), dtype=np.float32))
        self._other = KeyedDraws(seed, "other categories", lambda rng, n: rng.random((n, n_categories, 2)))

    def copies(self, inputs: Any, records: Int[np.ndarray, " record"], first: int, last: int) -> Any:
        """Return draws `first` to `last - 1` of every record, one record's after another, of the inputs' own type.

        Args:
            inputs: Records x anything.
            records: Their numbers, on which the noise depends.
            first: First draw.
            last: The one after the last.
        """
        if hasattr(inputs, "columns"):
            return self._copied_table(inputs, records, first, last)
        moved = self._moved(inputs.reshape(len(inputs), -1), records, first, last)
        return moved.reshape(-1, *inputs.shape[1:])

    def _moved(self, values: np.ndarray, records: np.ndarray, first: int, last: int) -> np.ndarray:
        """Numbers with noise and bits with flips, in the type of the values."""
        n, dtype = last - first, values.dtype
        out = np.repeat(values, n, axis=0)
        bits, numbers = _all_or(self._bits, values.shape[1]), _all_or(self._numbers, values.shape[1])
        is_whole = dtype.kind != "f"
        work = np.float32 if dtype.itemsize <= (2 if is_whole else 4) else np.float64
        low, high = (np.ceil(self._low), np.floor(self._high)) if is_whole else (self._low, self._high)
        spread, low, high = (side.astype(work) for side in (self._spread, low, high))
        for i, record in enumerate(records.tolist()):
            own = out[i * n : (i + 1) * n]
            if self._bits.size and self._flips:
                before = values[i, bits]
                flipped = ~before if before.dtype == bool else 1 - before
                own[:, bits] = np.where(self._uniform.of(record, first, last) < self._flips, flipped, before)
            if self._numbers.size:
                moved: Any = self._gaussian.of(record, first, last).astype(work, copy=False)
                moved *= spread
                moved += values[i, numbers]
                np.clip(moved, low, high, out=moved)
                own[:, numbers] = np.rint(moved, out=moved) if is_whole else moved
        return out

    def _copied_table(self, table: Any, records: np.ndarray, first: int, last: int) -> Any:
        values = as_numbers(table, self._space.categories)
        moved = self._moved(values, records, first, last)
        copied = table.iloc[np.repeat(np.arange(len(table)), last - first)].reset_index(drop=True)
        for position in sorted({*self._numbers.tolist(), *self._bits.tolist()}):
            column = copied.iloc[:, position]
            kind = getattr(column.dtype, "kind", "O")
            whole = np.rint(moved[:, position]) if kind in "biu" else moved[:, position]
            copied.isetitem(position, type(column)(whole, index=column.index, name=column.name).astype(column.dtype))
        if self._categories and self._flips:
            draws = np.concatenate([self._other.of(record, first, last) for record in records.tolist()])
            for i, (position, allowed) in enumerate(self._categories.items()):
                copied.isetitem(position, self._other_categories(copied.iloc[:, position], allowed, draws[:, i]))
        return copied

    def _other_categories(
        self, column: Any, allowed: Int[np.ndarray, " allowed"], draws: Float[np.ndarray, "copy two"]
    ) -> Any:
        """Another category for some of a column: the first draw says whether, the second which."""
        declared = self._space.categories[column.name]
        codes = codes_of(column, column.name, declared, 0)
        place = np.searchsorted(allowed, codes)
        step = 1 + np.floor(draws[:, 1] * (allowed.size - 1)).astype(np.int64)
        is_other = (draws[:, 0] < self._flips) & (allowed.size > 1)
        new = np.where(is_other, allowed[(place + step) % allowed.size], codes)
        values = np.empty(len(declared), dtype=object)
        values[:] = declared
        changed = column.astype(object).to_numpy(copy=True)
        changed[is_other] = values[new[is_other]]
        return type(column)(changed, index=column.index, name=column.name).astype(column.dtype)


def _categories_of(space: InputSpace, pool: Any) -> dict[int, Int[np.ndarray, " allowed"]]:
    """Places of category columns, and which of the declared categories each can hold."""
    places = {}
    for position, name in enumerate(getattr(pool, "columns", ())):
        if name in space.categories:
            held = getattr(pool.dtypes.iloc[position], "categories", None)  # of a pandas categorical
            allowed = [i for i, v in enumerate(space.categories[name]) if held is None or v is None or v in held]
            places[position] = np.array(allowed)
    return places


def _all_or(places: Int[np.ndarray, " place"], n: int) -> Any:
    """All features as a slice, which copies nothing; else their places."""
    return slice(None) if places.size == n else places
