"""How a model's answers are read: their kind, and which column is which class. Malformed answers are refused."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vestige.core.batches import says_logits
from vestige.core.errors import InputError, TargetError, refuse_if
from vestige.core.labels import Classes, as_codes, as_numbers, codes_of_classes, number_of_text
from vestige.core.messages import brief
from vestige.core.outputs import Logits, PredictedLabels, Probabilities
from vestige.core.probabilities import SUM_TOLERANCE, rounding_of
from vestige.core.targets import Answers, ClassNames
from vestige.targets.refusals import array_of, check_finite, check_shape

_NEGATIVE = 1e-5  # rounding that a probability below 0 may be: the float32 sum of a forest's trees
_DECLARE = "declare the answers as probabilities (in Python give a function that returns Probabilities(...))"
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
        self, answers: Any, n_records: int, n_classes: int, classes: ClassNames = None, *, first: int = 0
    ) -> Answers:
        """Return the answers of a number of records.

        Args:
            answers: Records x classes, or one label or number per record; or one of the types of `kind` with it. The
                columns of a DataFrame name the classes, unless `columns` does.
            n_records: How many were asked about.
            n_classes: Classes of the records.
            classes: Their names, if they have some.
            first: Number of the first of these records, for messages.

        Raises:
            TargetError: There is not one answer per record and class, a number is not finite, probabilities are none,
                logits are probabilities, or a label is no class.
        """
        format, answers = self, _typed(self.kind, answers)
        if isinstance(answers, Probabilities | Logits | PredictedLabels):
            columns = answers.columns if self.columns is None else self.columns
            format, answers = replace(self, kind=type(answers), columns=columns), answers.whole()
        array = array_of(answers, format.kind.kind)
        if format.kind is PredictedLabels:
            return format._labels(array, n_records, n_classes, classes)
        return format._numbers(array, n_records, n_classes, classes, first)

    def says_classes(self, answers: Any) -> bool:
        """Whether an answer says which class is which: its columns have names, or it is the name itself."""
        names = getattr(answers, "columns", None)
        if self.columns is not None or (names is not None and len(names) > 1):
            return True
        values = answers.whole() if isinstance(answers, PredictedLabels) else answers
        if isinstance(values, list | tuple):
            return any(isinstance(value, str | bytes) for value in values[:1])
        return getattr(getattr(values, "dtype", None), "kind", None) in ("U", "S", "O")

    def _labels(self, labels: np.ndarray, n_records: int, n_classes: int, classes: ClassNames) -> PredictedLabels:
        if labels.shape == (n_records, 1):
            labels = labels[:, 0]
        if labels.shape != (n_records,):
            raise TargetError(
                f"Expected one predicted label per record, found shape {labels.shape} for {n_records:,} records; "
                "declare answers as probabilities or logits if there is a number per class."
            )
        if labels.dtype.kind == "O":
            labels = np.array([v.decode() if isinstance(v, bytes) else v for v in labels.tolist()])
        names = self.columns if self.columns is not None else classes
        numbers = None if names is None else as_numbers([number_of_text(c) for c in names])
        are_codes = names is None or (labels.dtype.kind in "iuf" and numbers is None)  # of classes that may have names
        named = Classes(None if are_codes else tuple(map(str, names or ())), numbers, n_classes)
        if labels.dtype.kind == "b" and set(named.names or ()) == {"False", "True"}:
            labels = labels.astype(np.str_)  # these are the names, whatever the order
        try:
            codes = as_codes(labels, "predicted labels", n_records, "records", named)
        except InputError as error:
            raise TargetError(str(error)) from None
        return PredictedLabels(codes if self.columns is None else self._codes(n_classes, classes)[codes])

    def _numbers(self, numbers: np.ndarray, n_records: int, n_classes: int, classes: ClassNames, first: int) -> Answers:
        kind = self.kind
        is_single = n_classes == 2 and numbers.shape in ((n_records,), (n_records, 1))
        refuse_if(
            (
                numbers.dtype.kind not in "fiub",
                f"Expected numbers as {kind.kind}, found {numbers.dtype}; declare what the model answers with: "
                "probabilities, logits or labels.",
            ),
            (
                is_single and numbers.dtype.kind != "f",
                f"Expected {kind.kind} as fractions, found one {numbers.dtype} per record, as labels are; declare the "
                "answers as labels.",
            ),
            kind=TargetError,
        )
        if numbers.dtype.kind != "f" or numbers.dtype.itemsize < 4:
            numbers = numbers.astype(np.float64 if numbers.dtype.kind != "f" else np.float32)
        if is_single:
            one = numbers.reshape(n_records).astype(np.float64)
            if kind is Logits and n_records >= _MANY and one.min() >= 0 and one.max() <= 1:
                raise TargetError(
                    f"Expected logits of any size, found {n_records:,} numbers that are all in 0..1, as probabilities "
                    f"are; {_DECLARE}."
                )
            numbers = np.column_stack([1 - one if kind is Probabilities else np.zeros(n_records), one])
        check_shape(numbers.shape, n_records, n_classes if self.columns is None else len(self.columns), kind.kind)
        check_finite(numbers, kind.kind, first)
        if kind is Probabilities:
            _check_probabilities(numbers, first)
        elif _are_probabilities(numbers):
            raise TargetError(
                "Expected logits, found probabilities: every row is in 0..1 and sums to 1, and a softmax would be "
                f"applied twice; {_DECLARE}, or leave the softmax out of the model."
            )
        if self.columns is None:
            return kind(numbers)
        codes = self._codes(n_classes, classes)
        if kind is Logits and len(codes) != n_classes:
            raise TargetError(
                f"Expected a logit for each of {n_classes} classes, found columns for {len(codes)}; give the model's "
                "probabilities, or records of its classes."
            )
        ordered = np.zeros((n_records, n_classes), dtype=numbers.dtype)
        ordered[:, codes] = numbers
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


def _check_probabilities(probabilities: np.ndarray, first: int) -> None:
    cure = "declare the answers as logits if these are, or apply a softmax in the model."
    if probabilities.min(initial=0) >= -_NEGATIVE and probabilities.max(initial=0) <= 1 + _NEGATIVE:
        cure = "declare the answers as logits if these are, or divide each row by its sum if each class was told from "
        cure += "all others."
    negative = (probabilities < -_NEGATIVE).any(axis=1)
    if negative.any():
        row = int(np.argmax(negative))
        raise TargetError(
            f"Expected probabilities of at least 0, found {probabilities[row].min():.6g} for record "
            f"{first + row + 1:,}; {cure}"
        )
    sums = probabilities.sum(axis=1, dtype=np.float64)
    missed = np.abs(sums - 1) > SUM_TOLERANCE
    if missed.any():
        missed &= np.abs(sums - 1) > rounding_of([probabilities], probabilities.shape[1], 2)[1]
    if missed.any():
        row = int(np.argmax(missed))
        raise TargetError(
            f"Expected probabilities that sum to 1, found a sum of {sums[row]:.6g} for record {first + row + 1:,}; "
            f"{cure}"
        )


def divided_by_sums(numbers: np.ndarray) -> np.ndarray:
    """Return the rows of a model of each class against all others as probabilities that sum to 1.

    Raises:
        TargetError: A row has a number outside [0, 1], or none above 0.

    Example:
        >>> divided_by_sums(np.array([[0.5, 0.5, 1.0]])).tolist()
        [[0.25, 0.25, 0.5]]
    """
    sums = numbers.sum(axis=1, keepdims=True)
    wrong = ~((numbers.min(axis=1) >= 0) & (numbers.max(axis=1) <= 1) & (sums[:, 0] > 0))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise TargetError(
            f"Expected numbers in 0..1 for each class against all others, found {brief(str(numbers[row].tolist()))} "
            f"for record {row + 1:,}; ask the model for its probabilities."
        )
    return np.asarray(numbers / sums)


ROWS_DIVIDED = (
    "Warning: the model tells each class from all others, and its numbers for a record do not sum to 1: each row was "
    "divided by its sum."
)
"""What is said of such a model."""


def _typed(kind: Any, answers: Any) -> Any:
    """A DataFrame of numbers as what it was said to be, with its columns' names; what is called logits as such."""
    is_typed = isinstance(answers, Probabilities | Logits | PredictedLabels)
    are_logits = says_logits(answers)
    if is_typed or (not are_logits and (kind is PredictedLabels or len(getattr(answers, "columns", ())) < 2)):
        return answers
    try:
        return Logits(answers) if are_logits else kind(answers)
    except InputError as error:
        raise TargetError(str(error)) from None


def _are_probabilities(numbers: np.ndarray) -> bool:
    """Whether numbers that were said to be logits are none; a single row may be by chance, hardly two of them."""
    if len(numbers) < 2 or numbers.min() < 0 or numbers.max() > 1:
        return False
    return bool((np.abs(numbers.sum(axis=1, dtype=np.float64) - 1) <= SUM_TOLERANCE).all())
