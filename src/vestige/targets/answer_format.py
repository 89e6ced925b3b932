"""How a model's answers are read: what kind they are, which column is which class; what is no answer is refused."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vestige.core.errors import InputError, TargetError
from vestige.core.labels import Classes, as_codes, as_numbers, codes_of_classes, number_of_text
from vestige.core.messages import brief
from vestige.core.outputs import Logits, PredictedLabels, Probabilities
from vestige.core.probabilities import SUM_TOLERANCE
from vestige.core.targets import Answers, ClassNames
from vestige.targets.refusals import array_of, check_finite, check_shape

_NEGATIVE = 1e-6  # rounding that a probability below 0 may be
_DECIMALS = range(2, 6)  # to which a model may round its probabilities, so that rows miss 1 by more
_MANY = 32  # numbers in 0..1, all of them, are no logits

Kind = type[Probabilities] | type[Logits] | type[PredictedLabels]

KINDS: dict[str, Kind] = {kind.kind: kind for kind in (Probabilities, Logits, PredictedLabels)}
"""What models answer with, by name."""


@dataclass(frozen=True)
class AnswerFormat:
    """What a model answers with.

    Attributes:
        kind: Probabilities, logits or predicted labels. A model that returns one of these types says it itself.
        columns: The classes in the order of the answers' columns; those of the records, in their order, if omitted. A
            single number per record is that of the second of two classes: its probability, or its logit against 0.
    """

    kind: Kind = Probabilities
    columns: tuple[Any, ...] | None = None

    def read(
        self, found: Any, n_records: int, n_classes: int, classes: ClassNames = None, *, first: int = 0
    ) -> Answers:
        """Return the answers of a number of records.

        Args:
            found: Records x classes, or one label or number per record; or one of the types of `kind` with it. The
                columns of a DataFrame name the classes, unless `columns` does.
            n_records: How many were asked about.
            n_classes: Classes of the records.
            classes: Their names, if they have some.
            first: Number of the first of these records, for messages.

        Raises:
            TargetError: There is not one answer per record and class, a number is not finite, probabilities are none,
                logits are probabilities, or a label is no class.
        """
        format, found = self, _typed(self.kind, found)
        if isinstance(found, Probabilities | Logits | PredictedLabels):
            columns = found.columns if self.columns is None else self.columns
            format, found = replace(self, kind=type(found), columns=columns), found.whole()
        array = array_of(found, format.kind.kind)
        if format.kind is PredictedLabels:
            return format._labels(array, n_records, n_classes, classes)
        return format._numbers(array, n_records, n_classes, classes, first)

    def says_classes(self, found: Any) -> bool:
        """Whether an answer says which class is which: its columns have names, or it is the name itself."""
        names = getattr(found, "columns", None)
        if self.columns is not None or (names is not None and len(names) > 1):
            return True
        values = found.whole() if isinstance(found, PredictedLabels) else found
        if isinstance(values, list | tuple):
            return any(isinstance(value, str | bytes) for value in values[:1])
        return getattr(getattr(values, "dtype", None), "kind", None) in ("U", "S", "O")

    def _labels(self, found: np.ndarray, n_records: int, n_classes: int, classes: ClassNames) -> PredictedLabels:
        if found.shape == (n_records, 1):
            found = found[:, 0]
        if found.shape != (n_records,):
            raise TargetError(
                f"Expected one predicted label per record, found shape {found.shape} for {n_records:,} records; "
                "declare answers as probabilities or logits if there is a number per class."
            )
        if found.dtype.kind == "O":
            found = np.array([v.decode() if isinstance(v, bytes) else v for v in found.tolist()])
        names = self.columns if self.columns is not None else classes
        numbers = None if names is None else as_numbers([number_of_text(c) for c in names])
        named = Classes(None if names is None else tuple(map(str, names)), numbers, n_classes)
        if named.names is not None and found.dtype.kind in "iuf" and numbers is None:
            named = Classes(None, None, n_classes)  # codes of classes that have names
        if found.dtype.kind == "b" and set(named.names or ()) == {"False", "True"}:
            found = found.astype(np.str_)  # these are the names, whatever the order
        try:
            codes = as_codes(found, "predicted labels", n_records, "records", named)
        except InputError as error:
            raise TargetError(str(error)) from None
        return PredictedLabels(codes if self.columns is None else self._codes(n_classes, classes)[codes])

    def _numbers(self, found: np.ndarray, n_records: int, n_classes: int, classes: ClassNames, first: int) -> Answers:
        kind = self.kind
        if found.dtype.kind not in "fiub":
            raise TargetError(
                f"Expected numbers as {kind.kind}, found {found.dtype}; declare what the model answers with: "
                "probabilities, logits or labels."
            )
        is_single = n_classes == 2 and found.shape in ((n_records,), (n_records, 1))
        if is_single and found.dtype.kind != "f":
            raise TargetError(
                f"Expected {kind.kind} as fractions, found one {found.dtype} per record, as labels are; declare the "
                "answers as labels."
            )
        if found.dtype.kind != "f" or found.dtype.itemsize < 4:
            found = found.astype(np.float64 if found.dtype.kind != "f" else np.float32)
        if is_single:
            one = found.reshape(n_records).astype(np.float64)
            if kind is Logits and n_records >= _MANY and one.min() >= 0 and one.max() <= 1:
                raise TargetError(
                    f"Expected logits of any size, found {n_records:,} numbers that are all in 0..1, as probabilities "
                    "are; declare the answers as probabilities."
                )
            found = np.column_stack([1 - one if kind is Probabilities else np.zeros(n_records), one])
        check_shape(found.shape, n_records, n_classes if self.columns is None else len(self.columns), kind.kind)
        check_finite(found, kind.kind, first)
        if kind is Probabilities:
            _check_probabilities(found, first)
        elif _are_probabilities(found):
            raise TargetError(
                "Expected logits, found probabilities: every row is in 0..1 and sums to 1, and a softmax would be "
                "applied twice; declare the answers as probabilities, or leave the softmax out of the model."
            )
        if self.columns is None:
            return kind(found)
        codes = self._codes(n_classes, classes)
        if kind is Logits and len(codes) != n_classes:
            raise TargetError(
                f"Expected a logit for each of {n_classes} classes, found columns for {len(codes)}; give the model's "
                "probabilities, or records of its classes."
            )
        ordered = np.zeros((n_records, n_classes), dtype=found.dtype)
        ordered[:, codes] = found
        return kind(ordered)

    def _codes(self, n_classes: int, classes: ClassNames) -> np.ndarray:
        columns = list(self.columns or ())
        codes = codes_of_classes(columns, "the model's classes", n_classes, classes)
        repeated = [column for i, column in enumerate(columns) if codes[i] in codes[:i]]
        if repeated:
            raise TargetError(
                f"Expected each of the model's classes once, found {brief(repr(repeated[0]))} twice; name every column "
                "after its own class."
            )
        return np.array(codes, dtype=np.intp)


def _check_probabilities(found: np.ndarray, first: int) -> None:
    cure = "declare the answers as logits if these are, or apply a softmax in the model."
    negative = (found < -_NEGATIVE).any(axis=1)
    if negative.any():
        row = int(np.argmax(negative))
        raise TargetError(
            f"Expected probabilities of at least 0, found {found[row].min():.6g} for record {first + row + 1:,}; {cure}"
        )
    sums = found.sum(axis=1, dtype=np.float64)
    missed = np.abs(sums - 1) > SUM_TOLERANCE
    if missed.any():
        missed &= np.abs(sums - 1) > _rounding(found)
    if missed.any():
        row = int(np.argmax(missed))
        raise TargetError(
            f"Expected probabilities that sum to 1, found a sum of {sums[row]:.6g} for record {first + row + 1:,}; "
            f"{cure}"
        )


def _rounding(found: np.ndarray) -> float:
    """What rows may miss 1 by because their numbers are rounded to a few decimals; 0 if they are not."""
    for decimals in _DECIMALS:
        scaled = found.astype(np.float64) * 10.0**decimals
        if np.abs(scaled - np.rint(scaled)).max() < 0.01:
            return float(min(0.5, 0.5 * found.shape[1] * 10.0**-decimals + _NEGATIVE))
    return 0.0


def _typed(kind: Any, found: Any) -> Any:
    """A DataFrame of numbers as what it was said to be, with the names of its columns; anything else as it is."""
    is_typed = isinstance(found, Probabilities | Logits | PredictedLabels)
    if is_typed or kind is PredictedLabels or len(getattr(found, "columns", ())) < 2:
        return found
    try:
        return kind(found)
    except InputError as error:
        raise TargetError(str(error)) from None


def _are_probabilities(found: np.ndarray) -> bool:
    """Whether numbers that were said to be logits are none; a single row may be by chance, hardly two of them."""
    if len(found) < 2 or found.min() < 0 or found.max() > 1:
        return False
    return bool((np.abs(found.sum(axis=1, dtype=np.float64) - 1) <= SUM_TOLERANCE).all())
