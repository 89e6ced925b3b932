"""Quotes of a text table that were never closed: what follows, rows and all, is read as one cell."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from vestige.core.errors import InputError
from vestige.core.messages import brief


@dataclass
class _Cell:
    """A quoted cell that is still open."""

    line: int
    column: int
    lines: list[str]  # the first ones, and the last
    n_delimiters: set[int] = field(default_factory=set)  # of the lines between the first and the last

    def add(self, text: str, delimiter: str) -> None:
        if len(self.lines) > 1:
            self.n_delimiters.add(self.lines[-1].count(delimiter))
        self.lines[3:] = [text]

    def is_of_rows(self, n_columns: int, numbers: set[int], delimiter: str, decimal: str) -> bool:
        """Whether a cell of several lines holds the end of a row, whole rows, and the beginning of the last one."""
        first, last = self.lines[0].split(delimiter)[1:], self.lines[-1].split(delimiter)[:-1]
        if len(first) != n_columns - 1 - self.column or len(last) != self.column:
            return False
        rows = [(first, self.column + 1), (last, 0), *((line.split(delimiter), 0) for line in self.lines[1:-1])]
        found = [text for cells, start in rows for i, text in enumerate(cells, start) if i in numbers]
        is_whole = n_columns > 1 and not self.n_delimiters - {n_columns - 1}
        return is_whole and all(_is_number(text, decimal) for text in found)


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
    numbers = _number_columns(rows, len(names), decimal)
    cell: _Cell | None = None
    for number, line in enumerate(lines, start=1):
        line = line.rstrip("\n")
        position, column = 0, 0
        if cell is not None:
            end = _closing_quote(line, 0)
            cell.add(line if end < 0 else line[:end], delimiter)
            if end < 0:
                continue
            if line[end + 1 : end + 2] not in ("", delimiter) or cell.is_of_rows(
                len(names), numbers, delimiter, decimal
            ):
                raise InputError(_told(cell, names, number))
            position, column, cell = end + 1, cell.column, None
        last = line.rfind('"')
        while position <= last:
            if line[position] == '"':
                end = _closing_quote(line, position + 1)
                if end < 0:
                    cell = _Cell(number, column, [line[position + 1 :]])
                    break
                position = end + 1
            end = line.find(delimiter, position)
            if end < 0:
                break
            position, column = end + 1, column + 1
    if cell is not None:
        raise InputError(_told(cell, names, None))


def _closing_quote(line: str, position: int) -> int:
    """Where a quoted cell ends in a line; -1 if it does not. Two quotes are one in the text."""
    while (end := line.find('"', position)) >= 0 and line[end + 1 : end + 2] == '"':
        position = end + 2
    return end


def _number_columns(rows: Iterable[Sequence[str]], n_columns: int, decimal: str) -> set[int]:
    """Columns that hold numbers alone in those rows that are whole."""
    whole = [row for row in rows if len(row) == n_columns and not any("\n" in text for text in row)]
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
