"""The UCI tables as P3 and P4 give them to their networks: pure functions from records to records of numbers."""

from dataclasses import replace
from enum import Enum
from typing import Any

import numpy as np
import pandas as pd

from vestige.core.errors import InputError
from vestige.core.records import Codes, Records


class MissingCategory(Enum):
    """What becomes of a missing category in P3's Adult, `?` in the file."""

    CATEGORY = "category"
    """A bit of its own, as for any other category: 107 columns, the number P3's code expects."""
    NO_BIT = "no-bit"
    """None of the bits is set: 104 columns."""


def adult_p3(records: Records, *, missing: MissingCategory = MissingCategory.CATEGORY) -> Records:
    """Return Adult as P3 uses it: the 6 continuous columns first, then a bit per category.

    P3 and its code give 107 columns and the 6 that are continuous, but not how they come about; plain one-hot bits
    of both files are 108 with `?` as a category and 105 without. Here a category that a single record of all has
    gets no bit. That is one, Holand-Netherlands in `adult.data`: its bit is 0 in the whole of `adult.test` and in
    nearly every training set, and one-hot bits of the two files have just the others in common. It leaves 107
    columns, or 104 without bits for `?`. The continuous columns keep their units, as P3's noise of 20 to 50 in raw
    units says they do.

    Args:
        records: All records of `read_adult`; of a part of them other categories could be single.
        missing: What becomes of `?`.

    Returns:
        The same records with float32 inputs.

    Raises:
        InputError: The inputs are no table.

    Source:
        P3, section 4 and its code (107 inputs; the first 6 continuous).
    """
    table = _table(records)
    numbers = table.select_dtypes("number")
    categories = table.drop(columns=numbers.columns)
    if missing is MissingCategory.CATEGORY:
        categories = categories.apply(_with_missing)
    bits = pd.get_dummies(categories, dtype=np.float32).to_numpy()
    return _with_inputs(records, np.hstack([numbers.to_numpy(np.float32), bits[:, bits.sum(axis=0) > 1]]))


def adult_p4(records: Records) -> Records:
    """Return Adult as P4 uses it: numbers, then a bit per category, less the last two; every column standardised.

    A missing category sets no bit, which makes 105 columns; P4's code drops the last two (the countries Vietnam and
    Yugoslavia, after the label is gone already), which leaves 103. Means and standard deviations (of the population,
    ddof 0) are those of all records that are given; a column without spread becomes 0.

    Args:
        records: All records of `read_adult`, both files. P4's pool is the first 32,561 of the result.

    Returns:
        The same records with float32 inputs.

    Raises:
        InputError: The inputs are no table.

    Source:
        P4, section 4.1, and its code.
    """
    columns = pd.get_dummies(_table(records), dtype=np.float64).to_numpy(np.float64)[:, :-2]  # numbers come first
    spread = columns.std(axis=0)
    return _with_inputs(records, (columns - columns.mean(axis=0)) / np.where(spread > 0, spread, 1))


def ordinal_p4(records: Records) -> Records:
    """Return German credit or Hepatitis as P4 uses them: categories as codes, means for what is missing, scaled.

    A category becomes its place among those declared, from 0, a missing value the mean of its column, and every
    column is divided by its largest absolute value, so that numbers keep their sign and zero; a column of zeros stays
    one. Means and maxima are those of all records that are given, as in P4's code.

    Args:
        records: All records of `read_german_credit` or `read_hepatitis`. P4's pools are the first 800 of 1,000 and
            the first 124 of 155 of the result.

    Returns:
        The same records with float32 inputs: 20 or 19 columns, in the order of the file.

    Raises:
        InputError: The inputs are no table, or all values of a column are missing.

    Source:
        P4, section 4.1, and its code. It takes both sets from OpenML with ordinal codes. Which of Hepatitis' two values
        is 0 there is not known; the other way round a column is 1 less its value here.
    """
    table = _table(records)
    columns = np.column_stack([_ordinal(table[name]) for name in table.columns])
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


def _ordinal(column: Any) -> np.ndarray:
    if not hasattr(column, "cat"):
        return np.asarray(column, dtype=np.float64)
    codes = np.asarray(column.cat.codes, dtype=np.float64)
    return np.where(codes < 0, np.nan, codes)


def _with_inputs(records: Records, inputs: np.ndarray) -> Records:
    classes = None if records.classes is None else Codes(records.classes)
    return replace(records, inputs=inputs.astype(np.float32), classes=classes)
