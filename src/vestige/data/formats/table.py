"""Text and Parquet tables, one or several concatenated: each needed column as one array of one type.

Rows are counted from 1, as a reader does, and from the beginning of each file.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas.api.types import union_categoricals
from pyarrow import compute

from vestige.core.errors import InputError, refusing
from vestige.core.ids import without_fractions
from vestige.core.messages import brief, few
from vestige.data.formats.classes import integers_if_all
from vestige.data.formats.csv_file import NO_ROWS, CsvFile, open_csv
from vestige.data.formats.files import TABLES, Format, TableSource, expect_format, named
from vestige.data.formats.frame import Frame, open_frame, open_json
from vestige.data.formats.list_columns import SpreadLists, spread_lists
from vestige.data.formats.parquet_file import ParquetFile, open_parquet

_MISSING = ("is missing", "fill it in or leave the row out")
_LEADING_ZERO = r"^\s*[+-]?0[0-9]"  # a code, such as a postcode, and no number
_KNOWN = (
    *(pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean),
    *(pa.types.is_timestamp, pa.types.is_dictionary, pa.types.is_null),
)
_MOST_LOOKED_AT = 20  # a table of a thousand unused features is not searched for people
_FEWEST_PEOPLE = 20
_NO_CAST = (pa.ArrowInvalid, pa.ArrowNotImplementedError)

TableFile = CsvFile | ParquetFile | Frame | SpreadLists


def open_tables(paths: Sequence[TableSource], label: str, lists: Mapping[str, str] | None = None) -> list[TableFile]:
    """Read the headers of tables.

    Args:
        paths: CSV (comma, semicolon or tab; plain or gzipped; UTF-8), Parquet or JSON lines, or frames.
        label: Name of the label column, by which a delimiter is told apart.
        lists: Columns that may hold lists, and what the names of a column per entry begin with.

    Raises:
        InputError: A file is damaged or of another format.
    """
    kinds = [(path, expect_format(path, *TABLES)) for path in paths]
    openers: dict[Format, Callable[[Any], Any]] = {
        Format.PARQUET: open_parquet, Format.JSON: open_json, Format.FRAME: open_frame,
    }  # fmt: skip
    files = [openers[kind](path) if kind in openers else open_csv(path, kind, label) for path, kind in kinds]  # type: ignore[arg-type]
    return [spread_lists(file, lists or {}) for file in files]


def require_columns(file: TableFile, wanted: Mapping[str, Sequence[str] | None]) -> None:
    """Refuse a table that lacks a column the user named or that every table has.

    Args:
        file: The table.
        wanted: Columns that must be there, by how others are named.

    Raises:
        InputError: One is missing.
    """
    named_by = {how: [names] if isinstance(names, str) else names or () for how, names in wanted.items()}
    missing = [(name, how) for how, names in named_by.items() for name in names if name not in file.names]
    if missing:
        (name, how), there = missing[0], few([name for name in file.names if name])
        if any(_is_fraction(name) for name in file.names) or (there and all(map(str.isdecimal, file.names))):
            raise InputError(
                f"{file.name}: Expected the names of the columns in the first line, found the numbers {there}: the "
                f"header is missing; write one, such as {name},member,prob_0,prob_1."
            )
        cure = f"name another {how}"
        if len(file.names) == 1 and re.match(r"[\w.-]+: ", file.names[0]):
            cure = "settings are not read: name the model with --model, and tables as --members and --nonmembers"
        raise InputError(f"{file.name}: Expected a column {name}, found {there}; {cure}.")


def _is_fraction(text: str) -> bool:
    """Whether text is a number as outputs of a model are, and hardly the name of a column."""
    with suppress(ValueError):
        return not text.isdecimal() and math.isfinite(float(text))
    return False


class Table:
    """The needed columns of one file, or of several below each other.

    Args:
        files: With the needed columns; what is needed as text only may be missing in some.
        numeric: Columns that must be numbers.
        text: All other needed columns.

    Raises:
        InputError: A file has no rows, a needed column twice, or cannot be read.
    """

    def __init__(self, files: Sequence[TableFile], numeric: Sequence[str], text: Sequence[str]) -> None:
        self.files = files
        self.name = " and ".join(file.name for file in files)
        self._parts = [_loaded(file, numeric, [name for name in text if name in file.names]) for file in files]
        self.sizes = [part.num_rows for part in self._parts]

    def texts(self, name: str) -> np.ndarray:
        """Return a column as text, every entry there.

        Raises:
            InputError: An entry is missing, or holds a line break or a null character.
        """
        return np.concatenate(self._of_each(name, _texts))

    def numbers(self, name: str) -> np.ndarray:
        """Return a column of numbers as floats; missing ones are NaN.

        Raises:
            InputError: Some entry is no number.
        """
        arrays = self._of_each(name, _numbers)
        return np.asarray(arrays[0] if len(arrays) == 1 else np.concatenate(arrays))

    def names(self, name: str) -> np.ndarray:
        """Return a column of names: integers if every one is, else text, so that `007` stays `007`."""
        return integers_if_all(self.texts(name))

    def ids(self, name: str | None) -> np.ndarray | None:
        """Return a column of ids as `names` does, `1001.0` as 1001; None if there is no column."""
        return None if name is None else integers_if_all(without_fractions(self.texts(name)))

    def ordered(self, name: str) -> np.ndarray:
        """Return a column of time or order: numbers or dates if all entries are, else text.

        Raises:
            InputError: An entry is missing.
        """
        arrays = self._of_each(name, _ordered)
        kinds = {array.dtype.kind for array in arrays}
        same = len(kinds) == 1 or kinds <= set("iuf")
        return np.concatenate(arrays if same else [array.astype(np.str_) for array in arrays])

    def about(self, columns: Any) -> dict[str, Any]:
        """Return what `Columns` and `RecordColumns` name in common: ids, subjects, groups and order."""
        return {
            "ids": self.ids(columns.id),
            "subjects": self.ids(columns.subject),
            "groups": {group: self.names(group) for group in columns.groups},
            "order": {name: self.ordered(name) for name in columns.order},
        }

    def values(self, names: Sequence[str]) -> Any:
        """Return columns as an array if all are numbers, else as a DataFrame, as `frame` does."""
        frame = self.frame(names)
        are_numbers = all(getattr(dtype, "kind", "O") in "biuf" for dtype in frame.dtypes)
        return frame.to_numpy(np.float64) if are_numbers else frame

    def frame(self, names: Sequence[str]) -> Any:
        """Return columns as a DataFrame, each of one type for all files.

        Text is read as numbers if all of it in a column is; `007` is none.

        Returns:
            Whole numbers, floats (also whole numbers beside missing entries), booleans, dates, and categories for text.
            Where the files disagree on numbers or text, it is text.

        Raises:
            InputError: A column holds lists or bytes, or ordered categories that differ.
        """
        files = list(zip(self.files, self._parts, strict=True))
        return pd.DataFrame({n: _series([(part[n], file.decimal) for file, part in files], n) for n in names})

    def notes(self, used: set[str]) -> tuple[str, ...]:
        """Say which columns were not used, and warn of those whose values repeat as people's do.

        Args:
            used: Names of the others; R's unnamed column of row names is nobody's.

        Returns:
            No note, one, or two. The warning is a hint: whether a column names people only the user knows.
        """
        unused = [[name for name in file.names if name and name not in used] for file in self.files]
        lists = tuple(dict.fromkeys(file.said for file in self.files if isinstance(file, SpreadLists)))
        if not any(unused):
            return lists
        notes = [
            *lists,
            f"Columns not used, nor checked: {few(list(dict.fromkeys(name for names in unused for name in names)))}.",
        ]
        n_records, distinct = sum(self.sizes), list(map(_distinct_values, self.files, unused))
        fewest = max(_FEWEST_PEOPLE, n_records / 50)
        common = [name for name in distinct[0] if all(name in values for values in distinct)]
        n_distinct = {name: len(set().union(*(values[name] for values in distinct))) for name in common}
        people = [name for name, n in n_distinct.items() if fewest <= n <= 0.95 * n_records]
        if people:
            notes.append(
                f"Warning: values of {few(people)} repeat; if a column names the person behind a record, name it with "
                "--subject: otherwise intervals count records, and are too narrow."
            )
        return tuple(notes)

    def _of_each(self, name: str, read: Callable[[Any, str, str], np.ndarray]) -> list[np.ndarray]:
        arrays = []
        for file, part in zip(self.files, self._parts, strict=True):
            with named(file.name):
                arrays.append(read(_plain(part[name]), name, file.decimal or "."))
        return arrays


def _loaded(file: TableFile, numeric: Sequence[str], text: Sequence[str]) -> Any:
    repeated = [name for name in (*text, *numeric) if file.names.count(name) > 1]
    if repeated:
        raise InputError(
            f"{file.name}: Expected one column {repeated[0]}, found {file.names.count(repeated[0])}; rename the others."
        )
    columns = file.load(numeric, text)
    if columns.num_rows == 0:
        raise InputError(f"{file.name}: {NO_ROWS}")
    return columns


def _numbers(column: Any, name: str, _: str) -> np.ndarray:
    if not pa.types.is_floating(column.type):
        with refusing(_NO_CAST, lambda _: _no_number(column, name)):
            column = column.cast(pa.float64())
    return np.asarray(column.to_numpy())


def _no_number(column: Any, name: str) -> str:
    for row, entry in enumerate(column.to_pylist(), start=1):
        try:
            float("nan" if entry is None else entry)
        except (TypeError, ValueError):
            return (
                f"Expected a number in column {name}, found {brief(repr(entry))} in data row {row:,}; "
                "the outputs of a model are numbers."
            )
    return f"Expected numbers in column {name}, found {column.type}; convert them to float64."


def _texts(column: Any, name: str, _: str) -> np.ndarray:
    _refuse(column.is_null(nan_is_null=True), name, *_MISSING)
    with refusing(_NO_CAST, f"Expected text or numbers in column {name}, found {column.type}; convert it."):
        coded = column.combine_chunks().dictionary_encode()  # what is written often is spelled and looked at once
        distinct = coded.dictionary
        if pa.types.is_boolean(distinct.type):  # as Python spells them, and names columns after them
            distinct = compute.if_else(distinct, "True", "False")
        distinct = _spelled(distinct) if pa.types.is_floating(distinct.type) else distinct.cast(pa.string())
    for bad, what, cure in (
        (compute.equal(distinct, ""), *_MISSING),
        # Of a quote that was never closed; and null characters, without which NumPy would read the text.
        (compute.match_substring_regex(distinct, "[\n\r]"), "runs over several lines", "close the quotes before it"),
        (compute.match_substring(distinct, "\0"), "holds a null character", "save the table again as text"),
    ):
        if compute.any(bad).as_py():
            _refuse(pa.chunked_array([bad.take(coded.indices)]), name, what, cure)
    return np.asarray(np.array(distinct.to_pylist(), dtype=np.str_)[coded.indices.to_numpy()])


def _spelled(column: Any) -> Any:
    """Floats as text; whole numbers without a fraction or exponent, as a column of whole numbers has them."""
    wide = column.cast(pa.float64())
    is_whole = compute.and_(compute.equal(compute.floor(wide), wide), compute.less(compute.abs(wide), 2.0**53))
    whole = compute.if_else(is_whole, wide, 0.0).cast(pa.int64()).cast(pa.string())
    return compute.if_else(is_whole, whole, column.cast(pa.string()))


def _ordered(column: Any, name: str, decimal: str) -> np.ndarray:
    if pa.types.is_temporal(column.type) or pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        _refuse(column.is_null(nan_is_null=True), name, *_MISSING)
        array = np.asarray(column.to_numpy())
        if array.dtype != object:  # times of day come as objects
            return array
    written = _texts(column, name, decimal)
    for kind in (pa.int64(), pa.float64(), pa.timestamp("us")):
        with suppress(pa.ArrowInvalid):
            return np.asarray(_with_point(pa.chunked_array([written]), decimal).cast(kind).to_numpy())
    return written


def _plain(column: Any) -> Any:
    """Undo dictionary encoding: a category is its text."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _with_point(column: Any, decimal: str) -> Any:
    """A column of text with a decimal point instead of a comma."""
    return compute.replace_substring(column, decimal, ".") if decimal != "." else column


# ------------------------------------------------------------------------------------------ columns of a frame


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
    """What a column of text stands for, judged by its distinct values, of which there are often few: fast."""
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
    return _with_point(compute.utf8_trim_whitespace(column), decimal)


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
    for plain in map(_plain, columns):
        if pa.types.is_boolean(plain.type):  # as Python and R's CSV spell them, not as Arrow does
            plain = compute.if_else(plain, "True", "False")
        texts += plain.cast(pa.string()).chunks
    coded = pa.chunked_array(texts, pa.string()).dictionary_encode().to_pandas()
    return coded.cat.reorder_categories(sorted(coded.cat.categories))


def _united_categories(parts: list[Any], name: str) -> Any:
    if len(parts) == 1:
        return parts[0]
    others = (
        f"Expected the same ordered categories of column {name} in both files, found others or in another order; save "
        "both with the same categories."
    )
    with refusing(TypeError, others):
        return pd.Series(union_categoricals(parts))


# ------------------------------------------------------------------------------------------ refusals and notes


def _refuse(bad: Any, name: str, what: str, cure: str) -> None:
    rows = np.flatnonzero(bad.to_numpy())
    if rows.size:
        more = f" and {rows.size - 1:,} more" if rows.size > 1 else ""
        raise InputError(
            f"Expected an entry in column {name} for every record, found that it {what} in data row "
            f"{int(rows[0]) + 1:,}{more}; {cure}."
        )


def _distinct_values(file: TableFile, unused: Sequence[str]) -> dict[str, set[str]]:
    """The distinct values of the first unused columns, as text; a column that cannot be read is passed over."""
    looked_at = [name for name in unused if unused.count(name) == 1][:_MOST_LOOKED_AT]
    columns = {name: table[name] for table in _readable(file, looked_at) for name in table.column_names}
    return {
        name: {str(value) for value in column.unique().to_pylist() if value is not None}
        for name, column in columns.items()
        if not pa.types.is_nested(column.type)  # lists or the like name nobody
    }


def _readable(file: TableFile, names: Sequence[str]) -> Iterator[Any]:
    """Columns in one pass over the file, or each on its own if some cannot be read."""
    if not names:
        return
    try:
        yield file.load([], names)
    except InputError:
        for name in names:
            with suppress(InputError):
                yield file.load([], [name])
