"""Input columns as a DataFrame: numbers stay numbers, text becomes categories, what is missing stays missing."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import pandas as pd
import pyarrow as pa
from pandas.api.types import union_categoricals
from pyarrow import compute

from vestige.core.errors import InputError
from vestige.data.formats.table import with_point

_LEADING_ZERO = r"^\s*[+-]?0[0-9]"  # a code, such as a postcode, and no number
_KNOWN = (
    *(pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean),
    *(pa.types.is_timestamp, pa.types.is_dictionary, pa.types.is_null),
)


def input_frame(columns: Mapping[str, Sequence[tuple[Any, str | None]]]) -> pd.DataFrame:
    """Return input columns of one or more tables below each other, each column of one type for all.

    Args:
        columns: By name, the column of each table as pyarrow has it; of a table of text with its decimal mark, None
            for a table that has types of its own. Text is read as numbers if all of it in a column is; `007` is none.

    Returns:
        A DataFrame: whole numbers, floats (also whole numbers beside missing entries), booleans, dates, and
        categories for text. Where the tables disagree on numbers or text, it is text.

    Raises:
        InputError: A column holds lists or bytes, or ordered categories that differ.
    """
    return pd.DataFrame({name: _series(parts, name) for name, parts in columns.items()})


def _series(parts: Sequence[tuple[Any, str | None]], name: str) -> Any:
    typed = [_typed(column, decimal, name) for column, decimal in parts]
    filled = [column for column in typed if not pa.types.is_null(column.type)]
    if filled and all(pa.types.is_dictionary(column.type) for column in filled):
        return _united_categories([column.to_pandas() for column in filled], name)
    joined = _of_one_type(typed)
    if joined is None or (pa.types.is_boolean(joined.type) and joined.null_count):
        return _categories([column for column, _ in parts])
    return joined.to_pandas()


def _typed(column: Any, decimal: str | None, name: str) -> Any:
    """A column as numbers, booleans, dates, categories or text."""
    kind = column.type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise InputError(
            f"Expected numbers, text or dates in column {name}, found {kind}; leave it out, name the inputs, or read "
            "images with the reader of Parquet images."
        )
    if decimal is not None:
        return _from_text(column, decimal)
    if pa.types.is_decimal(kind):
        return column.cast(pa.float64())
    if pa.types.is_date(kind):
        return column.cast(pa.timestamp("ms"))
    return column if any(is_known(kind) for is_known in _KNOWN) else column.cast(pa.string())


def _from_text(column: Any, decimal: str) -> Any:
    """What a column of text stands for, judged by its distinct values: often there are few."""
    if column.null_count == len(column):
        return pa.chunked_array([pa.nulls(len(column))])
    distinct = column.unique()
    if compute.any(compute.match_substring_regex(distinct, _LEADING_ZERO)).as_py():
        return column
    for kind in (pa.int64(), pa.float64()):
        with suppress(pa.ArrowInvalid):
            _cleaned(distinct, decimal).cast(kind)
            return _cleaned(column, decimal).cast(kind)
    words = compute.is_in(compute.utf8_lower(distinct), value_set=pa.array(["true", "false", None]))
    return column.cast(pa.bool_()) if compute.all(words).as_py() else column


def _cleaned(column: Any, decimal: str) -> Any:
    """Numbers as Arrow reads them: without spaces around, with a decimal point."""
    return with_point(compute.utf8_trim_whitespace(column), decimal)


def _of_one_type(columns: Sequence[Any]) -> Any:
    """Columns below each other, of the one type that holds all of them; None if that is text."""
    tables = [pa.table({"": column}) for column in columns]
    try:
        joined = pa.concat_tables(tables, promote_options="permissive").column(0)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return None
    if pa.types.is_null(joined.type):
        return joined.cast(pa.float64())  # nothing but missing entries
    return None if pa.types.is_string(joined.type) or pa.types.is_dictionary(joined.type) else joined


def _categories(columns: Sequence[Any]) -> Any:
    """Text as it is written, as categories in alphabetical order."""
    texts = []
    for column in columns:
        plain = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        if pa.types.is_boolean(plain.type):  # as Python and R's CSV spell them, not as Arrow does
            plain = compute.if_else(plain, "True", "False")
        texts += plain.cast(pa.string()).chunks
    coded = pa.chunked_array(texts, pa.string()).dictionary_encode().to_pandas()
    return coded.cat.reorder_categories(sorted(coded.cat.categories))


def _united_categories(parts: list[Any], name: str) -> Any:
    if len(parts) == 1:
        return parts[0]
    try:
        return pd.Series(union_categoricals(parts))
    except TypeError:
        raise InputError(
            f"Expected the same ordered categories of column {name} in both files, found others or in another order; "
            "save both with the same categories."
        ) from None
