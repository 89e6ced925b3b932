"""How a model's answers are read: what kind they are, which column is which class; what is no answer is refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vestige.core.errors import InputError, TargetError
from vestige.core.labels import Classes, as_codes, as_numbers, codes_of_classes, number_of_text
from vestige.core.outputs import Logits, PredictedLabels, Probabilities
from vestige.core.targets import Answers
from vestige.targets.checking import check_finite, check_shape

_NEGATIVE = 1e-6  # rounding that a probability below 0 may be
_SUM = 1e-3  # what a row of probabilities may miss 1 by; the audit itself is stricter and says so
_SURE = 1e-4  # rows that miss 1 by no more, all of them, are no logits

Kind = type[Probabilities] | type[Logits] | type[PredictedLabels]


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
        self, found: Any, n_records: int, n_classes: int, classes: Sequence[str] | None = None, *, first: int = 0
    ) -> Answers:
        """Return the answers of a number of records.

        Args:
            found: Records x classes, or one label or number per record; or one of the types of `kind` with it.
            n_records: How many were asked about.
            n_classes: Classes of the records.
            classes: Their names, if they have some.
            first: Number of the first of these records, for messages.

        Raises:
            TargetError: There is not one answer per record and class, a number is not finite, probabilities are none,
                logits are probabilities, or a label is no class.
        """
        kind: Kind = self.kind
        if isinstance(found, Probabilities | Logits | PredictedLabels):
            kind, found = type(found), found.whole()
        if kind is PredictedLabels:
            return self._labels(np.asarray(found), n_records, n_classes, classes)
        return self._numbers(kind, np.asarray(found), n_records, n_classes, classes, first)

    def _labels(
        self, found: np.ndarray, n_records: int, n_classes: int, classes: Sequence[str] | None
    ) -> PredictedLabels:
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
        try:
            codes = as_codes(found, "predicted labels", n_records, "records", named)
        except InputError as error:
            raise TargetError(str(error)) from None
        return PredictedLabels(codes if self.columns is None else self._codes(n_classes, classes)[codes])

    def _numbers(
        self,
        kind: Kind,
        found: np.ndarray,
        n_records: int,
        n_classes: int,
        classes: Sequence[str] | None,
        first: int,
    ) -> Answers:
        if found.dtype.kind not in "fiub":
            raise TargetError(
                f"Expected numbers as {kind.kind}, found {found.dtype}; declare what the model answers with: "
                "probabilities, logits or labels."
            )
        if found.dtype.kind != "f" or found.dtype.itemsize < 4:
            found = found.astype(np.float64 if found.dtype.kind != "f" else np.float32)
        if n_classes == 2 and found.shape in ((n_records,), (n_records, 1)):
            one = found.reshape(n_records).astype(np.float64)
            found = np.column_stack([1 - one if kind is Probabilities else np.zeros(n_records), one])
        n_columns = n_classes if self.columns is None else len(self.columns)
        check_shape(found.shape, n_records, n_columns, kind.kind)
        check_finite(found, kind.kind, first)
        if kind is Probabilities:
            _check_probabilities(found, first)
        elif _are_probabilities(found):
            raise TargetError(
                "Expected logits, found probabilities: every row is in 0..1 and sums to 1, and a softmax would be "
                "applied twice; declare the answers as probabilities."
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

    def _codes(self, n_classes: int, classes: Sequence[str] | None) -> np.ndarray:
        columns = list(self.columns or ())
        return np.array(codes_of_classes(columns, "the model's classes", n_classes, classes), dtype=np.intp)


def _check_probabilities(found: np.ndarray, first: int) -> None:
    cure = "declare the answers as logits if these are, or apply a softmax in the model."
    negative = (found < -_NEGATIVE).any(axis=1)
    if negative.any():
        row = int(np.argmax(negative))
        raise TargetError(
            f"Expected probabilities of at least 0, found {found[row].min():.6g} for record {first + row + 1:,}; {cure}"
        )
    sums = found.sum(axis=1, dtype=np.float64)
    missed = np.abs(sums - 1) > _SUM
    if missed.any():
        row = int(np.argmax(missed))
        raise TargetError(
            f"Expected probabilities that sum to 1, found a sum of {sums[row]:.6g} for record {first + row + 1:,}; "
            f"{cure}"
        )


def _are_probabilities(found: np.ndarray) -> bool:
    """Whether numbers that were said to be logits are none; a single row may be by chance, hardly two of them."""
    if len(found) < 2 or found.min() < 0 or found.max() > 1:
        return False
    return bool((np.abs(found.sum(axis=1, dtype=np.float64) - 1) <= _SURE).all())
