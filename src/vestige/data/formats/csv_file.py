"""Text tables as R, Python and spreadsheets write them: the delimiter and the decimal mark are detected."""

import csv
import io
import re
import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa
from pyarrow import csv as arrow_csv

from vestige.core.errors import InputError
from vestige.core.messages import brief
from vestige.data.formats.files import Format, PathLike, file_name, opened, readable

_N_SAMPLE = 1 << 22  # bytes: the header, and rows enough to see a decimal comma
_N_SAMPLE_ROWS = 100
_DELIMITERS = (",", ";", "\t")
_MISSING = ["", "NA", "NaN", "nan", "null", "NULL", "N/A", "n/a", "#N/A", "<NA>"]
NO_ROWS = "Expected a row per record, found a header without rows; save it again."
_NOT_UTF8 = (
    "Expected UTF-8 text, found bytes of another encoding, perhaps Latin-1; save it as UTF-8 "
    '(in R: fileEncoding = "UTF-8").'
)
_QUOTED = r'(?:[^"]++|"")*+'  # text within quotes, where two are one
_CLOSING = re.compile(f'{_QUOTED}"')
_COMMA_NUMBER = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?")


@dataclass(frozen=True, kw_only=True)
class CsvFile:
    """A text table whose header has been read."""

    path: Path
    name: str
    names: tuple[str, ...]
    delimiter: str
    decimal: str
    packed: bool
    rows: Sequence[Sequence[str]] = field(repr=False, compare=False)  # the first ones

    @property
    def lists(self) -> tuple[str, ...]:
        """Columns whose first entry is a list, written as text."""
        first = self.rows[0] if self.rows else ()
        return tuple(name for name, cell in zip(self.names, first, strict=False) if cell.strip()[:1] in ("[", "("))

    def load(self, numeric: Sequence[str], text: Sequence[str]) -> Any:
        """Read columns into a pyarrow Table: `numeric` as float64, `text` as strings, both with nulls.

        Raises:
            InputError: A number is none, a row is too short or too long, a quote is never closed, or the text is not
                UTF-8.
        """
        with readable(self.path):
            try:
                table = self._read(numeric, text, use_threads=True)
            except (pa.ArrowInvalid, EOFError):
                table = None
            # Fewer rows than lines: some cells run over several lines, or lines are empty.
            if (table is None or table.num_rows < self._n_lines - 1) and self._open_quotes is not None:
                raise self._open_quotes
            if table is not None:
                return table
            try:
                # Only a reader with a single thread knows the number of the row.
                return self._read(numeric, text, use_threads=False)
            except (pa.ArrowInvalid, EOFError) as error:
                raise InputError(f"{self.name}: {_told(str(error), self.names)}") from None

    @cached_property
    def _n_lines(self) -> int:
        """Line ends; one more if the last line has none. Rows of a table are fewer where a cell has several lines."""
        n, end = 0, b"\n"
        with opened(self.path) as stream:
            while block := stream.read(_N_SAMPLE):
                n += block.count(b"\n") + block.count(b"\r") - block.count(b"\r\n")
                n -= end == b"\r" and block[:1] == b"\n"
                end = block[-1:]
        return n + (end not in b"\r\n")

    @cached_property
    def _open_quotes(self) -> InputError | None:
        with opened(self.path) as stream:
            lines = io.TextIOWrapper(cast(BinaryIO, stream), "utf-8-sig", errors="replace", newline=None)
            try:
                refuse_open_quotes(lines, self.names, self.delimiter, self.rows, self.decimal)
            except InputError as error:
                return InputError(f"{self.name}: {error}")
            except (EOFError, zlib.error):  # a damaged gzip file, which is told elsewhere
                pass
        return None

    def _read(self, numeric: Sequence[str], text: Sequence[str], *, use_threads: bool) -> Any:
        types = dict.fromkeys(text, pa.string()) | dict.fromkeys(numeric, pa.float64())
        with pa.input_stream(str(self.path), compression="gzip" if self.packed else None) as source:
            return arrow_csv.read_csv(
                source,
                read_options=arrow_csv.ReadOptions(use_threads=use_threads),
                parse_options=arrow_csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=types,
                    include_columns=list(types),
                    null_values=_MISSING,
                    # R writes the text "NA" with quotes and a missing value without.
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                    decimal_point=self.decimal,
                ),
            )


def open_csv(path: PathLike, format_: Format, label: str) -> CsvFile:
    """Read the header of a text table.

    Args:
        path: The table.
        format_: Whether it is gzipped.
        label: Name of the label column, by which the delimiter is told apart.

    Returns:
        The table, to be loaded.

    Raises:
        InputError: The header is not UTF-8.
    """
    with opened(path) as stream:
        # Bytes that are no UTF-8 may stand in a column nobody needs: only the names must be right.
        sample = stream.read(_N_SAMPLE).decode("utf-8-sig", errors="replace")
    headers = {delimiter: _rows(sample, delimiter, 1)[0] for delimiter in _DELIMITERS}
    delimiter = max(_DELIMITERS, key=lambda d: (label in headers[d], len(headers[d])))
    names, *others = _rows(sample, delimiter, _N_SAMPLE_ROWS)
    if any("\ufffd" in column for column in names):
        raise InputError(f"{file_name(path)}: {_NOT_UTF8}")
    decimal = "," if delimiter != "," and any(_COMMA_NUMBER.fullmatch(c) for row in others for c in row) else "."
    return CsvFile(
        path=Path(path),
        name=file_name(path),
        names=tuple(names),
        delimiter=delimiter,
        decimal=decimal,
        packed=format_ is Format.CSV_GZIP,
        rows=others,
    )


def _rows(sample: str, delimiter: str, n: int) -> list[list[str]]:
    """The header and the first rows; an empty header of text that is no table, such as an endless quoted field."""
    rows: list[list[str]] = []
    with suppress(csv.Error):
        reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
        rows.extend(islice(filter(None, reader), n))
    return rows or [[]]


def _told(message: str, names: Sequence[str]) -> str:
    """Put pyarrow's complaint as expected, found, where and cure; it counts the header as row 1."""
    row = re.search(r"Row #(\d+)", message)
    where = f" in data row {int(row[1]) - 1:,}" if row else ""
    if "UTF8" in message:
        return _NOT_UTF8
    if "Empty CSV" in message:
        return NO_ROWS
    if wrong := re.search(r"Expected (\d+) columns, got (\d+)", message):
        cure = "save it again; in R, write it with row.names = FALSE"
        return f"Expected {wrong[1]} fields as in the header, found {wrong[2]}{where}; {cure}."
    if wrong := re.search(r"column #(\d+):.*invalid value '(.*)'", message, re.DOTALL):
        column, found = brief(names[int(wrong[1])]), brief(wrong[2])
        return f"Expected a number in column {column}, found {found!r}{where}; the outputs of a model are numbers."
    return f"Expected a table, found text that cannot be read as one{where}: {brief(message)}; save it again."


# ------------------------------------------------------------------------------------------ open quotes


@dataclass
class _Cell:
    """A quoted cell that is still open."""

    line: int
    column: int
    lines: list[str]  # the first ones, and the last
    n_delimiters: set[int] = field(default_factory=set)  # of the lines between the first and the last

    def is_of_rows(self, n_columns: int, numbers: set[int], delimiter: str, decimal: str) -> bool:
        """Whether a cell of several lines holds the end of a row, whole rows, and the beginning of the last one."""
        first, last = self.lines[0].split(delimiter)[1:], self.lines[-1].split(delimiter)[:-1]
        if len(first) != n_columns - 1 - self.column or len(last) != self.column:
            return False
        rows = [(first, self.column + 1), (last, 0), *((line.split(delimiter), 0) for line in self.lines[1:-1])]
        texts = [text for cells, start in rows for i, text in enumerate(cells, start) if i in numbers]
        is_whole = n_columns > 1 and not self.n_delimiters - {n_columns - 1}
        return is_whole and all(_is_number(text, decimal) for text in texts)


def refuse_open_quotes(
    lines: Iterable[str], names: Sequence[str], delimiter: str, rows: Iterable[Sequence[str]], decimal: str
) -> None:
    r"""Refuse a table in which a quote was opened and never closed.

    A cell may run over several lines. But it ends with a quote, a delimiter or a new line follows, and it is not made
    of the ends and beginnings of rows: as many delimiters as the rows have, with numbers where the table has numbers.

    Args:
        lines: The lines of the table, the header first; every kind of line end as a newline.
        names: Of the columns.
        delimiter: Between cells.
        rows: The first ones of the table without the header, which show where it has numbers.
        decimal: Its decimal mark.

    Raises:
        InputError: There is one; the message says where it stands.

    Example:
        >>> refuse_open_quotes(["a,b\n", '1,"over two\n', 'lines"\n'], ["a", "b"], ",", [], ".")
        >>> refuse_open_quotes(["a,b\n", '1,"never closed\n', "2,c\n"], ["a", "b"], ",", [], ".")
        Traceback (most recent call last):
        vestige.core.errors.InputError: Expected every quote to be closed, found one opened in line 2, ...
    """
    whole = [row for row in rows if len(row) == len(names) and not any("\n" in text for text in row)]
    numbers = {i for i in range(len(names)) if whole and all(_is_number(row[i], decimal) for row in whole)}
    cell: _Cell | None = None
    mark = re.escape(delimiter)
    cells = re.compile(rf'(?:"(?P<text>{_QUOTED})(?P<end>"?)[^{mark}]*|[^{mark}]*)(?:{mark}|$)')
    for number, line in enumerate(lines, start=1):
        line, position, first = line.rstrip("\n"), 0, 0
        if cell is not None:
            if len(cell.lines) > 1:
                cell.n_delimiters.add(cell.lines[-1].count(delimiter))
            closed = _CLOSING.match(line)
            cell.lines[3:] = [line if closed is None else line[: closed.end() - 1]]
            if closed is None:
                continue
            position = closed.end()
            if line[position : position + 1] not in ("", delimiter) or cell.is_of_rows(
                len(names), numbers, delimiter, decimal
            ):
                raise InputError(_told_of(cell, names, number))
            first, cell = cell.column, None
        for column, match in enumerate(cells.finditer(line, position) if '"' in line[position:] else (), first):
            if match["end"] == "":
                cell = _Cell(number, column, [match["text"]])
    if cell is not None:
        raise InputError(_told_of(cell, names, None))


def _is_number(text: str, decimal: str) -> bool:
    try:
        float(text.replace(decimal, "."))
    except ValueError:
        return False
    return True


def _told_of(cell: _Cell, names: Sequence[str], end: int | None) -> str:
    column = brief(names[cell.column]) if cell.column < len(names) else f"number {cell.column + 1}"
    until = "the end of the table" if end is None else f"line {end:,}"
    return (
        f"Expected every quote to be closed, found one opened in line {cell.line:,}, column {column}, and all up to "
        f"{until} read as its text; close it, or write a quote within text as two."
    )
