"""Adult, German credit and Hepatitis: the raw files of the UCI repository as tables with typed columns.

And as the papers give them to their networks: pure functions from records to records of numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import numpy as np
import pandas as pd

from vestige.core.errors import InputError
from vestige.core.messages import brief, few
from vestige.core.records import Codes, Records
from vestige.data.formats.files import PathLike, file_name, opened, row_ids

_MISSING = "?"
_WHOLE = r"[+-]?[0-9]{1,18}"
_NUMBER = r"[?]|[+-]?([0-9]{1,18}[.]?[0-9]{0,18}|[.][0-9]{1,18})([eE][+-]?[0-9]{1,2})?"


@dataclass(frozen=True, kw_only=True)
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
    categories={  # as its documentation declares them, whether they occur or not
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
    },
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
        InputError: A file is missing or unreadable, or a line has too few or many fields, a malformed number,
            or an unknown label.
    """
    parts = [_texts(path, _ADULT) for path in (train, test) if path is not None]
    ids = [row_ids(part.index[0][0].removesuffix(".gz"), len(part)) for part in parts]
    return _records(pd.concat(parts), _ADULT, np.concatenate(ids))


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
    return _records(_texts(path, _GERMAN), _GERMAN)


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
    return _records(_texts(path, _HEPATITIS), _HEPATITIS)


def _texts(path: PathLike, layout: _Layout) -> pd.DataFrame:
    """The fields of every line with a record, as text, by file and line; not of empty lines and remarks."""
    with opened(path) as stream:
        lines = stream.read().decode("latin-1").splitlines()
    rows = {
        (file_name(path), number): [text.strip() for text in line.split(layout.delimiter)]
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.startswith("|")
    }
    if not rows:
        raise InputError(f"{file_name(path)}: Expected a record per line, found none; download the file again.")
    for place, fields in rows.items():
        if len(fields) != len(layout.fields):
            expected = f"{len(layout.fields)} fields ({few(layout.fields, 3)})"
            raise _refused(place, expected, str(len(fields)), "the file is truncated or another one: download it again")
    return pd.DataFrame([*rows.values()], columns=layout.fields, index=pd.MultiIndex.from_tuples(rows))


def _refused(place: Any, expected: str, found: str, cure: str) -> InputError:
    return InputError(f"{place[0]}: Expected {expected}, found {found} in line {place[1]:,}; {cure}.")


def _records(texts: pd.DataFrame, layout: _Layout, ids: np.ndarray | None = None) -> Records:
    columns = {name: _column(texts[name], name, layout) for name in layout.fields}
    labels = columns.pop(layout.label)
    return Records(
        pd.DataFrame(columns), labels, ids=np.arange(len(texts)) if ids is None else ids, classes=layout.classes
    )


def _column(values: Any, name: str, layout: _Layout) -> Any:
    """Classes, numbers or categories; a missing value is NaN, or of no category."""
    known: Sequence[str] = layout.categories.get(name) or sorted({*values} - {_MISSING})
    expected, cure = f"one of {few([*known, _MISSING], 6)} as {name}", "give the raw file as UCI publishes it"
    good = values.isin([*known, _MISSING])
    if name == layout.label:
        expected, good = f"one of {few([*layout.labels], 6)} as {name}", values.isin([*layout.labels])
    elif name in layout.numbers:
        expected, cure = f"a number as {name}", "download the file again"
        good = values.str.fullmatch(_WHOLE if layout.dtype is np.int64 else _NUMBER)
    if not good.all():
        raise _refused(values.index[~good][0], expected, repr(brief(values[~good].iloc[0])), cure)
    if name == layout.label:
        return [layout.labels[value] for value in values]
    if name in layout.numbers:
        return values.replace(_MISSING, "nan").to_numpy(layout.dtype)
    return pd.Categorical(values.where(values != _MISSING), categories=list(known))


# ------------------------------------------------------------------------------ as the papers use them


class MissingCategory(Enum):
    """What becomes of a missing category in Choquette-Choo et al.'s Adult, `?` in the file.

    Attributes:
        CATEGORY: A bit of its own, as for any other category: 107 columns, as in the authors' code.
        NO_BIT: None of the bits is set: 104 columns.
    """

    CATEGORY = "category"
    NO_BIT = "no-bit"


def adult_choquette_choo(records: Records, *, missing: MissingCategory = MissingCategory.CATEGORY) -> Records:
    """Return Adult as Choquette-Choo et al. 2021 use it: the 6 continuous columns first, then a bit per category.

    Paper and code give 107 columns and the 6 that are continuous, but not how they come about; plain one-hot bits
    of both files are 108 with `?` as a category and 105 without. Here a category that a single record of all has
    gets no bit. That is one, Holand-Netherlands in `adult.data`: its bit is 0 in the whole of `adult.test` and in
    nearly every training set, and one-hot bits of the two files have just the others in common. It leaves 107
    columns, or 104 without bits for `?`. The continuous columns keep their units, as the noise of 20 to 50 in raw
    units says they do.

    Args:
        records: All records of `read_adult`; of a part of them other categories could be single.
        missing: What becomes of `?`.

    Returns:
        The same records with float32 inputs.

    Raises:
        InputError: The inputs are no table.

    Source:
        Choquette-Choo et al. 2021, section 4 and its code (107 inputs; the first 6 continuous).
    """
    table = _table(records)
    numbers = table.select_dtypes("number")
    categories = table.drop(columns=numbers.columns)
    if missing is MissingCategory.CATEGORY:
        categories = categories.apply(_with_missing)
    bits = pd.get_dummies(categories, dtype=np.float32).to_numpy()
    return _with_inputs(records, np.hstack([numbers.to_numpy(np.float32), bits[:, bits.sum(axis=0) > 1]]))


def adult_watson(records: Records) -> Records:
    """Return Adult as Watson et al. 2022 use it: numbers, then a bit per category less the last two, all standardised.

    A missing category sets no bit, which makes 105 columns; their code drops the last two (the countries Vietnam and
    Yugoslavia, after the label is gone already), which leaves 103. Means and standard deviations (of the population,
    ddof 0) are those of all records that are given; a column without spread becomes 0.

    Args:
        records: All records of `read_adult`, both files. Watson et al.'s pool is the first 32,561 of the result.

    Returns:
        The same records with float32 inputs.

    Raises:
        InputError: The inputs are no table.

    Source:
        Watson et al. 2022, section 4.1, and its code.
    """
    columns = pd.get_dummies(_table(records), dtype=np.float64).to_numpy(np.float64)[:, :-2]  # numbers come first
    spread = columns.std(axis=0)
    return _with_inputs(records, (columns - columns.mean(axis=0)) / np.where(spread > 0, spread, 1))


def ordinal_watson(records: Records) -> Records:
    """Return German credit or Hepatitis as Watson et al. 2022 use them: codes, means for what is missing, scaled.

    A category becomes its place among those declared, from 0, a missing value the mean of its column, and every
    column is divided by its largest absolute value, so that numbers keep their sign and zero; a column of zeros stays
    one. Means and maxima are those of all records that are given, as in Watson et al.'s code.

    Args:
        records: All records of `read_german_credit` or `read_hepatitis`. Their pools are the first 800 of 1,000 and
            the first 124 of 155 of the result.

    Returns:
        The same records with float32 inputs: 20 or 19 columns, in the order of the file.

    Raises:
        InputError: The inputs are no table, or all values of a column are missing.

    Source:
        Watson et al. 2022, section 4.1, and its code, which takes both sets from OpenML with ordinal codes. Which of
        Hepatitis' two values is 0 there is not known; the other way round a column is 1 less its value here.
    """
    table = _table(records)
    columns = table.apply(_ordinal).to_numpy(np.float64)
    empty = np.isnan(columns).all(axis=0)
    if empty.any():
        raise InputError(
            f"Expected some value in every column, found none in {table.columns[int(np.argmax(empty))]}; leave it out."
        )
    full = np.where(np.isnan(columns), np.nanmean(columns, axis=0), columns)
    largest = np.abs(full).max(axis=0)
    return _with_inputs(records, full / np.where(largest > 0, largest, 1))


def _table(records: Records) -> Any:
    if not hasattr(records.inputs, "select_dtypes"):
        raise InputError(
            f"Expected records whose inputs are a table, found an array of {records.inputs.shape}; give what the "
            "reader of the raw file returns."
        )
    return records.inputs


def _with_missing(column: Any) -> Any:
    """The column with `?` as a category before the others, if any value is missing."""
    if not column.isna().any():
        return column
    return column.cat.set_categories(["?", *column.cat.categories]).fillna("?")


def _ordinal(column: Any) -> Any:
    return column.cat.codes.where(column.notna()) if hasattr(column, "cat") else column


def _with_inputs(records: Records, inputs: np.ndarray) -> Records:
    classes = None if records.classes is None else Codes(records.classes)
    return replace(records, inputs=inputs.astype(np.float32), classes=classes)
