"""Quotes of a text table that were never closed: what follows, rows and all, is read as one cell."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from vestige.core.errors import InputError
from vestige.core.messages import brief

_N_ROWS_LOOKED_AT = 100


@dataclass
class _Cell:
    """A quoted cell that is still open."""

    line: int
    column: int
    lines: list[str] = field(default_factory=list)  # the first ones, and the last
    n_delimiters: set[int] = field(default_factory=set)  # of the lines between the first and the last


def refuse_open_quotes(lines: Iterable[str], names: Sequence[str], delimiter: str, sample: str, decimal: str) -> None:
    r"""Refuse a table in which a quote was opened and never closed.

    A cell may run over several lines. But it ends with a quote, a delimiter or a new line follows, and it is not made
    of the ends and beginnings of rows: as many delimiters as the rows have, with numbers where the table has numbers.

    Args:
        lines: The lines of the table, the header first; every kind of line end as a newline.
        names: Of the columns.
        delimiter: Between cells.
        sample: The beginning of the table, which shows where it has numbers.
        decimal: Its decimal mark.

    Raises:
        InputError: There is one; the message says where it stands.

    Example:
        >>> refuse_open_quotes(["a,b\n", '1,"over two\n', 'lines"\n'], ["a", "b"], ",", "", ".")
        >>> refuse_open_quotes(["a,b\n", '1,"never closed\n', "2,c\n"], ["a", "b"], ",", "", ".")
        Traceback (most recent call last):
        vestige.core.errors.InputError: Expected every quote to be closed, found one opened in line 2, ...
    """
    numbers = _number_columns(sample, len(names), delimiter, decimal)
    cell: _Cell | None = None
    for number, line in enumerate(lines, start=1):
        line = line.rstrip("\n")
        if cell is None and '"' not in line:
            continue
        position, column = 0, 0
        while position <= len(line):
            if cell is None:
                if line[position : position + 1] == '"':
                    cell, position = _Cell(number, column), position + 1
                else:
                    end = line.find(delimiter, position)
                    position, column = (len(line) if end < 0 else end) + 1, column + 1
                continue
            end = _closing_quote(line, position)
            if end < 0:
                _add(cell, line[position:], delimiter)
                break
            if cell.line != number:
                _add(cell, line[position:end], delimiter)
                follows = line[end + 1 : end + 2]
                if follows not in ("", delimiter) or _is_of_rows(cell, len(names), numbers, delimiter, decimal):
                    raise InputError(_told(cell, names, number))
                column = cell.column
            cell = None
            end = line.find(delimiter, end + 1)
            position, column = (len(line) if end < 0 else end) + 1, column + 1
    if cell is not None:
        raise InputError(_told(cell, names, None))


def _closing_quote(line: str, position: int) -> int:
    """Where a quoted cell ends in a line; -1 if it does not. Two quotes are one in the text."""
    while (end := line.find('"', position)) >= 0 and line[end + 1 : end + 2] == '"':
        position = end + 2
    return end


def _add(cell: _Cell, text: str, delimiter: str) -> None:
    if len(cell.lines) > 1:
        cell.n_delimiters.add(cell.lines[-1].count(delimiter))
    cell.lines[3:] = [text]


def _is_of_rows(cell: _Cell, n_columns: int, numbers: set[int], delimiter: str, decimal: str) -> bool:
    """Whether a cell of several lines holds the end of a row, whole rows, and the beginning of the last one."""
    first, last = cell.lines[0].split(delimiter)[1:], cell.lines[-1].split(delimiter)[:-1]
    if len(first) != n_columns - 1 - cell.column or len(last) != cell.column or cell.n_delimiters - {n_columns - 1}:
        return False
    rows = [(first, cell.column + 1), (last, 0), *((line.split(delimiter), 0) for line in cell.lines[1:-1])]
    found = [(start + i, text) for cells, start in rows for i, text in enumerate(cells)]
    return n_columns > 1 and all(_is_number(text, decimal) for column, text in found if column in numbers)


def _number_columns(sample: str, n_columns: int, delimiter: str, decimal: str) -> set[int]:
    """Columns that hold numbers alone in the first rows of a table that are whole."""
    try:
        rows = islice(csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter), 1, _N_ROWS_LOOKED_AT)
        whole = [row for row in rows if len(row) == n_columns and not any("\n" in text for text in row)]
    except csv.Error:
        return set()
    return {i for i in range(n_columns) if whole and all(_is_number(row[i], decimal) for row in whole)}


def _is_number(text: str, decimal: str) -> bool:
    try:
        float(text.replace(decimal, "."))
    except ValueError:
        return False
    return True


def _told(cell: _Cell, names: Sequence[str], end: int | None) -> str:
    column = brief(names[cell.column]) if cell.column < len(names) else f"number {cell.column + 1}"
    until = "the end of the table" if end is None else f"line {end:,}"
    return (
        f"Expected every quote to be closed, found one opened in line {cell.line:,}, column {column}, and all up to "
        f"{until} read as its text; close it, or write a quote within text as two."
    )
