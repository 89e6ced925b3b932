"""One-line errors about model files that cannot be opened and about malformed answers."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vestige.core.columns import as_array, in_memory, index_of
from vestige.core.errors import TargetError, UnsupportedModelError, VestigeError, refusing
from vestige.core.extras import installing
from vestige.core.messages import brief


def damaged(path: Path, what: str, error: Exception) -> str:
    """Say that a file is not what its name says; `what` with its article, such as "a program"."""
    said = reason(error).replace(str(path), path.name)
    return f"Expected {what} in {path.name}, found a damaged or foreign file: {brief(said, 200)}."


def reading(path: Path, what: str) -> AbstractContextManager[None]:
    """Say of whatever a library raises that the file is `damaged`."""
    return refusing(Exception, partial(damaged, path, what))


def not_trusted(path: Path, what: str, safe: str) -> UnsupportedModelError:
    """Return what to raise for a file that could run code and was not said to be trusted.

    Args:
        path: The file.
        what: What it holds, with its article.
        safe: Formats that run nothing.
    """
    return UnsupportedModelError(
        f"Expected a model file that runs nothing, found {path.name}: {what} can run any code when it is loaded; store "
        f"the model as {safe}, or pass --trust-pickle (trust_pickle=True) if you made it yourself."
    )


def answered(model: Callable[..., Any], *given: Any) -> Any:
    """Return what a model or a function gives, whatever it may raise.

    Raises:
        TargetError: It failed on what it was given.
    """
    try:
        return model(*given)
    except VestigeError:
        raise
    except (Exception, SystemExit) as error:  # the exit code is ours to give
        raise unanswered(error) from error


def unanswered(error: BaseException) -> TargetError:
    """Return what to raise when a model fails on the records it is asked about."""
    return TargetError(
        f"Expected the model to answer, found that it failed: {type(error).__name__}: {brief(reason(error), 200)}; "
        "give records like those it was made for, or declare in [inputs] (InputSpace) how they become such."
    )


def missing_package(package: str, what: str, extra: str) -> UnsupportedModelError:
    """Return what to raise when the package that opens a file is not installed."""
    return UnsupportedModelError(f"Expected the package {package} for {what}, found none; {installing(extra)}.")


def check_record_shape(given: Sequence[int], wanted: Sequence[int | None], what: str, cure: str) -> None:
    """Refuse records of another shape than a model file was exported for; None stands for an axis of any size.

    Raises:
        TargetError: They have one; it says `what` they are for, and the cure.
    """
    fits = len(given) == len(wanted) and all(size in (None, n) for size, n in zip(wanted, given, strict=True))
    if not fits:
        shape = ", ".join("any" if size is None else str(size) for size in wanted)
        raise TargetError(f"Expected records of shape ({shape}){what}, found {tuple(given)}; {cure}")


def reason(error: BaseException) -> str:
    """Return the first lines of a library's message, without its stack, on one line."""
    said = str(error).split("Stack trace:")[0].split("Traceback (")[0]
    return brief(" ".join(said.split()) or type(error).__name__, 500).rstrip(".;: ")


# ------------------------------------------------------------------------------------ answers


def array_of(answers: Any, what: str) -> np.ndarray:
    """Return answers as an array: of lists, tables and sparse matrices, of tensors wherever they are.

    Args:
        answers: What a model returned.
        what: What its answers are called in messages.

    Raises:
        TargetError: They are no array, or some are masked.
    """
    if np.ma.isMaskedArray(answers) and np.ma.getmaskarray(answers).any():
        raise TargetError(f"Expected {what} for every record, found a masked array; give an answer for each.")
    try:
        array = as_array(np.asarray(in_memory(answers.toarray() if hasattr(answers, "tocsr") else answers)))
        if array.dtype == object and array.ndim and what != "predicted labels":
            array = array.astype(np.float64)
    except Exception as error:  # rows of several lengths, text among numbers, whatever a foreign type may do
        raise _no_array(answers, what, brief(str(error), 100)) from None
    if array.dtype == object and not array.ndim:
        raise _no_array(answers, what, "a single object")
    return array


def _no_array(answers: Any, what: str, why: str) -> TargetError:
    return TargetError(
        f"Expected {what} as one array, a row per record, found {type(answers).__name__} ({why}); let the model return "
        "its answers alone."
    )


def refuse_other_order(index: Any, inputs: Any) -> None:
    """Refuse answers whose index is that of the records in another order: they were sorted or shuffled on the way.

    Args:
        index: Of the pandas object that a model returned; None of anything else.
        inputs: What it was asked about; of an array, records count from 0.

    Raises:
        TargetError: It is.
    """
    if index is None or len(index) != len(inputs):
        return
    of_table, rows = index_of(inputs), index.tolist()
    known_orders = [list(range(len(inputs))), *([] if of_table is None else [of_table.tolist()])]
    if rows in known_orders:
        return
    for known in known_orders:
        if set(rows) == set(known):
            row = next(i for i, (a, b) in enumerate(zip(rows, known, strict=True)) if a != b)
            raise TargetError(
                f"Expected answers in the order of the records, found {brief(repr(rows[row]))} in row {row + 1:,} of "
                f"their index, where {brief(repr(known[row]))} stands; give them in the order of the inputs."
            )


def check_shape(shape: tuple[int, ...], n_records: int, n_classes: int, what: str) -> None:
    """Refuse answers that are not a number per record and class.

    Raises:
        TargetError: They are not.
    """
    if shape != (n_records, n_classes):
        cure = "give the model as many outputs as there are classes."
        if len(shape) == 1 and what != "predicted labels":
            cure = "give a number per class, or declare the answers as labels if these are."
        elif shape[:1] != (n_records,):
            cure = "give an answer for every record, and no more."
        elif len(shape) == 2 and shape[1] == n_classes - 1:
            cure = f"{cure[:-1]}, or, if the labels count from 1, name the classes (classes=[1, 2, ...] of Records)."
        elif len(shape) == 2 and shape[1] > n_classes:
            cure = f"{cure[:-1]}, or name all of them (classes in [data], or of Records) if some have no records."
        elif len(shape) == 2:
            cure = (
                f"{cure[:-1]}, or name these in the order of the columns (classes in [data], or of Records) if labels "
            )
            cure += "are other codes than 0..K-1, such as 1..3."
        raise TargetError(
            f"Expected {what} of shape {(n_records, n_classes)}, a row per record and a column per class, found "
            f"{shape}; {cure}"
        )


def check_finite(answers: np.ndarray, what: str, first: int = 0) -> None:
    """Refuse NaN and infinity, naming the record; `first` is the number of the first one.

    Raises:
        TargetError: There is some.
    """
    finite = np.isfinite(answers).reshape(len(answers), -1).all(axis=1) if answers.size else np.empty(0, bool)
    if not finite.all():
        row = first + int(np.argmin(finite)) + 1
        raise TargetError(f"Expected finite {what}, found NaN or infinity, first for record {row:,}.")
