"""Adult, German credit and Hepatitis from the raw files of the UCI repository, as tables with typed columns."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np

from vestige.core.errors import InputError
from vestige.core.messages import brief, few
from vestige.core.records import Records
from vestige.data.formats.files import PathLike, file_name, opened, row_ids

_MISSING = "?"
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[?]|[+-]?([0-9]{1,18}[.]?[0-9]{0,18}|[.][0-9]{1,18})([eE][+-]?[0-9]{1,2})?")


@dataclass(frozen=True)
class _Layout:
    """The fields of a file in their order, the label among them."""

    fields: tuple[str, ...]
    label: str
    labels: Mapping[str, str]  # as written -> class
    classes: tuple[str, ...]
    numbers: frozenset[str]
    dtype: type  # of the numbers: int64 where none may be missing
    delimiter: str | None = ","  # None: any white space
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # declared; else those that occur


@dataclass(frozen=True)
class _Row:
    """One line: where it stands, and its fields."""

    file: str
    line: int
    fields: Sequence[str]

    def refused(self, expected: str, found: str, cure: str) -> InputError:
        return InputError(f"{self.file}: Expected {expected}, found {found} in line {self.line:,}; {cure}.")


_ADULT = _Layout(
    fields=(
        *("age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation"),
        *("relationship", "race", "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country", "income"),
    ),
    label="income",
    labels={"<=50K": "<=50K", "<=50K.": "<=50K", ">50K": ">50K", ">50K.": ">50K"},  # adult.test has the dots
    classes=("<=50K", ">50K"),
    numbers=frozenset(["age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week"]),
    dtype=np.int64,
)


def _codes(attribute: int, *values: int) -> tuple[str, ...]:
    """Names of German credit's categories, such as A11: the attribute and the value."""
    return tuple(f"A{attribute}{value}" for value in values)


_GERMAN_CATEGORIES = {  # as its documentation declares them, whether they occur or not
    "checking-status": _codes(1, 1, 2, 3, 4),
    "credit-history": _codes(3, 0, 1, 2, 3, 4),
    "purpose": _codes(4, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
    "savings": _codes(6, 1, 2, 3, 4, 5),
    "employment": _codes(7, 1, 2, 3, 4, 5),
    "personal-status": _codes(9, 1, 2, 3, 4, 5),
    "other-debtors": _codes(10, 1, 2, 3),
    "property": _codes(12, 1, 2, 3, 4),
    "other-plans": _codes(14, 1, 2, 3),
    "housing": _codes(15, 1, 2, 3),
    "job": _codes(17, 1, 2, 3, 4),
    "telephone": _codes(19, 1, 2),
    "foreign-worker": _codes(20, 1, 2),
}
_GERMAN = _Layout(
    fields=(
        *("checking-status", "duration", "credit-history", "purpose", "amount", "savings", "employment"),
        *("instalment-rate", "personal-status", "other-debtors", "residence-since", "property", "age", "other-plans"),
        *("housing", "n-credits", "job", "n-liable", "telephone", "foreign-worker", "risk"),
    ),
    label="risk",
    labels={"1": "good", "2": "bad", "0": "bad"},  # UCI writes 1 and 2, copies of it also 1 and 0
    classes=("bad", "good"),
    numbers=frozenset(["duration", "amount", "instalment-rate", "residence-since", "age", "n-credits", "n-liable"]),
    dtype=np.int64,
    delimiter=None,
    categories=_GERMAN_CATEGORIES,
)

_TWO_VALUED = (
    *("sex", "steroid", "antivirals", "fatigue", "malaise", "anorexia", "liver-big", "liver-firm"),
    *("spleen-palpable", "spiders", "ascites", "varices"),
)
_MEASURED = ("bilirubin", "alk-phosphate", "sgot", "albumin", "protime")
_HEPATITIS = _Layout(
    fields=("class", "age", *_TWO_VALUED, *_MEASURED, "histology"),
    label="class",
    labels={"1": "die", "2": "live"},
    classes=("die", "live"),
    numbers=frozenset(["age", *_MEASURED]),
    dtype=np.float64,
    categories=dict.fromkeys([*_TWO_VALUED, "histology"], ("1", "2")),
)


def read_adult(train: PathLike, test: PathLike | None = None) -> Records:
    """Read the Adult census data: who earns more than 50,000 dollars a year.

    Args:
        train: `adult.data`.
        test: `adult.test`; its records follow. Omit it to have the first file alone.

    Returns:
        Records with a DataFrame of 6 columns of int64 and 8 categorical ones (the categories that occur, sorted; `?`
        is a missing value), classes `<=50K` and `>50K`, and file and row as ids.

    Raises:
        InputError: A file is missing or unreadable, or a line has too few or many fields, a number that is none,
            or an unknown label.
    """
    parts = [list(_rows(path, _ADULT)) for path in (train, test) if path is not None]
    ids = [row_ids(part[0].file.removesuffix(".gz"), len(part)) for part in parts]
    return _records(list(chain.from_iterable(parts)), _ADULT, np.concatenate(ids))


def read_german_credit(path: PathLike) -> Records:
    """Read the German credit data: whose credit was a good risk.

    Args:
        path: `german.data`, with its coded categories (not `german.data-numeric`).

    Returns:
        Records with a DataFrame of 7 columns of int64 and 13 categorical ones, in the order of the file. Categories
        keep their codes, such as `A11`, in the order in which they are declared, those that never occur included.
        Classes `bad` (2 in the file; 0 in some copies) and `good` (1), and row numbers, from 0, as ids.

    Raises:
        InputError: As `read_adult`, or a category is not declared.
    """
    rows = list(_rows(path, _GERMAN))
    return _records(rows, _GERMAN, np.arange(len(rows)))


def read_hepatitis(path: PathLike) -> Records:
    """Read the Hepatitis data: which patients died.

    Args:
        path: `hepatitis.data`.

    Returns:
        Records with a DataFrame of 6 columns of float64 and 13 categorical ones whose two categories keep their
        codes `1` and `2`, in the order of the file; missing values where it has `?`. Classes `die` (1) and `live`
        (2), and row numbers, from 0, as ids.

    Raises:
        InputError: As `read_german_credit`.
    """
    rows = list(_rows(path, _HEPATITIS))
    return _records(rows, _HEPATITIS, np.arange(len(rows)))


def _rows(path: PathLike, layout: _Layout) -> Iterator[_Row]:
    """The lines that hold a record: neither empty nor a remark such as the first one of adult.test."""
    name = file_name(path)
    with opened(path) as stream:
        lines = stream.read().decode("latin-1").splitlines()
    filled = [(i, line) for i, line in enumerate(lines, 1) if line.strip() and not line.startswith("|")]
    if not filled:
        raise InputError(f"{name}: Expected a record per line, found none; download the file again.")
    for i, line in filled:
        row = _Row(name, i, [text.strip() for text in line.split(layout.delimiter)])
        if len(row.fields) != len(layout.fields):
            raise row.refused(
                f"{len(layout.fields)} fields ({few(layout.fields, 3)})",
                str(len(row.fields)),
                "the file is truncated or another one: download it again",
            )
        yield row


def _records(rows: Sequence[_Row], layout: _Layout, ids: np.ndarray) -> Records:
    import pandas as pd

    columns = {name: _column(rows, i, name, layout) for i, name in enumerate(layout.fields)}
    labels = columns.pop(layout.label)
    return Records(pd.DataFrame(columns), labels, ids=ids, classes=layout.classes)


def _column(rows: Sequence[_Row], i: int, name: str, layout: _Layout) -> Any:
    """Classes, numbers or categories; a missing value is NaN, or of no category."""
    import pandas as pd

    values = [row.fields[i] for row in rows]
    if name in layout.numbers:
        of_type = _WHOLE if layout.dtype is np.int64 else _NUMBER
        good = [of_type.fullmatch(value) is not None for value in values]
        _refuse(rows, values, good, f"a number as {name}", "download the file again")
        return np.array([np.nan if value == _MISSING else layout.dtype(value) for value in values], layout.dtype)
    is_label = name == layout.label
    known = layout.labels if is_label else layout.categories.get(name) or sorted({*values} - {_MISSING})
    good = [value in known or (value == _MISSING and not is_label) for value in values]
    listed = [*known] if is_label else [*known, _MISSING]
    _refuse(rows, values, good, f"one of {few(listed, 6)} as {name}", "give the raw file as UCI publishes it")
    if is_label:
        return [layout.labels[value] for value in values]
    return pd.Categorical([None if value == _MISSING else value for value in values], categories=list(known))


def _refuse(rows: Sequence[_Row], values: Sequence[str], good: Sequence[bool], expected: str, cure: str) -> None:
    if not all(good):
        i = good.index(False)
        raise rows[i].refused(expected, repr(brief(values[i])), cure)
