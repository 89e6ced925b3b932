"""Input columns as a DataFrame: numbers stay numbers, text becomes categories, what is missing stays missing."""

from collections.abc import Sequence
from typing import Any

from vestige.core.errors import InputError

_LEADING_ZERO = r"^\s*[+-]?0[0-9]"  # a code, such as a postcode, and no number


def input_frame(tables: Sequence[Any], names: Sequence[str], decimals: Sequence[str | None]) -> Any:
    """Return input columns of one or more tables below each other, each column of one type for all.

    Args:
        tables: pyarrow Tables that hold the columns.
        names: The columns.
        decimals: Of each table of text its decimal mark, None for a table that has types of its own. Text is read
            as numbers if all of it in a column is; `007` is none.

    Returns:
        A DataFrame: whole numbers, floats (also whole numbers beside missing entries), booleans, dates, and
        categories for text. Where the tables disagree on numbers or text, it is text.

    Raises:
        InputError: A column holds lists or bytes, or ordered categories that differ.
    """
    import pandas as pd

    return pd.DataFrame({name: _series([t[name] for t in tables], decimals, name) for name in names})


def _series(columns: Sequence[Any], decimals: Sequence[str | None], name: str) -> Any:
    import pyarrow as pa

    typed = [_typed(column, decimal, name) for column, decimal in zip(columns, decimals, strict=True)]
    kinds = {column.type for column in typed if not pa.types.is_null(column.type)}
    if kinds and all(pa.types.is_dictionary(kind) for kind in kinds):
        return _united_categories([column.to_pandas() for column in typed if column.type in kinds], name)
    common = _common_type(kinds)
    joined = _joined([_cast(column, common) for column in typed]) if common is not None else None
    if joined is None or (pa.types.is_boolean(joined.type) and joined.null_count):
        return _categories(columns)
    return joined.to_pandas()


def _typed(column: Any, decimal: str | None, name: str) -> Any:
    """A column as numbers, booleans, dates, categories or text."""
    import pyarrow as pa

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
    known = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    known = known or pa.types.is_timestamp(kind) or pa.types.is_dictionary(kind) or pa.types.is_null(kind)
    return column if known else column.cast(pa.string())


def _from_text(column: Any, decimal: str) -> Any:
    """What a column of text stands for, judged by its distinct values: often there are few."""
    import pyarrow as pa

    if column.null_count == len(column):
        return pa.chunked_array([pa.nulls(len(column))])
    distinct = column.unique()
    kind = _type_of_text(distinct, decimal)
    try:
        return column.cast(kind)
    except pa.ArrowInvalid:
        return _cleaned(column, decimal).cast(kind)


def _type_of_text(distinct: Any, decimal: str) -> Any:
    import pyarrow as pa
    from pyarrow import compute

    if compute.any(compute.match_substring_regex(distinct, _LEADING_ZERO)).as_py():
        return pa.string()
    for kind in (pa.int64(), pa.float64()):
        try:
            _cleaned(distinct, decimal).cast(kind)
        except pa.ArrowInvalid:
            continue
        return kind
    words = compute.is_in(compute.utf8_lower(distinct), value_set=pa.array(["true", "false", None]))
    return pa.bool_() if compute.all(words).as_py() else pa.string()


def _cleaned(column: Any, decimal: str) -> Any:
    """Numbers as Arrow reads them: without spaces around, with a decimal point."""
    from pyarrow import compute

    trimmed = compute.utf8_trim_whitespace(column)
    return compute.replace_substring(trimmed, decimal, ".") if decimal != "." else trimmed


def _common_type(kinds: set[Any]) -> Any:
    """The type that holds all of these; None if that is text."""
    import pyarrow as pa

    if not kinds:
        return pa.float64()  # nothing but missing entries
    if any(pa.types.is_string(kind) or pa.types.is_dictionary(kind) for kind in kinds):
        return None
    if len(kinds) == 1:
        return next(iter(kinds))
    if all(pa.types.is_signed_integer(kind) for kind in kinds):
        return pa.int64()
    if all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in kinds):
        return pa.float64()
    return None


def _cast(column: Any, kind: Any) -> Any:
    return column if column.type == kind else column.cast(kind)


def _joined(columns: Sequence[Any]) -> Any:
    import pyarrow as pa

    return pa.chunked_array([chunk for column in columns for chunk in column.chunks], type=columns[0].type)


def _categories(columns: Sequence[Any]) -> Any:
    """Text as it is written, as categories in alphabetical order."""
    import pyarrow as pa

    texts = []
    for column in columns:
        plain = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        # Booleans as Python and R's CSV spell them, not as Arrow does.
        words = plain.to_pandas().map(str, na_action="ignore") if pa.types.is_boolean(plain.type) else None
        texts.append(plain.cast(pa.string()) if words is None else pa.chunked_array([pa.array(words, pa.string())]))
    coded = _joined(texts).dictionary_encode().to_pandas()
    return coded.cat.reorder_categories(sorted(coded.cat.categories))


def _united_categories(parts: list[Any], name: str) -> Any:
    import pandas as pd
    from pandas.api.types import union_categoricals

    if len(parts) == 1:
        return parts[0]
    try:
        return pd.Series(union_categoricals(parts))
    except TypeError:
        raise InputError(
            f"Expected the same ordered categories of column {name} in both files, found others or in another order; "
            "save both with the same categories."
        ) from None
