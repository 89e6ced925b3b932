"""Any service that takes JSON and answers with JSON: what is sent, and where in the answer the model's answers are."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from vestige.core.errors import InputError, TargetError, refuse_if
from vestige.core.labels import number_of_text
from vestige.core.messages import brief, few
from vestige.core.sparse import dense
from vestige.targets.http.open_inference import Response, Tensor, column_of, encoded, fractions_of, texts_of

ALL, ONE = "$inputs", "$input"


@dataclass(frozen=True)
class JsonTemplate:
    """A request as JSON in which a text stands for the inputs, and the path to the answers.

    Attributes:
        url: Where it is posted to.
        send: JSON; `"$inputs"` in it becomes a list of the records of a request, `"$input"` the only record of it. A
            record of an array is a list, one of a table an object by columns, a text itself.
        read: Names and numbers with dots between them that lead to the answers, such as `predictions` or
            `outputs.0.scores`; a name after a list is that of every entry. Empty if the answer is nothing else.

    Raises:
        InputError: It is no JSON, or has no place for the inputs, or several.
    """

    url: str
    send: Any
    read: str = ""

    def __post_init__(self) -> None:
        try:
            text = json.dumps(self.send, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InputError(f"Expected JSON as send, found other values ({brief(str(error))}).") from None
        n_places = sum(text.count(f'"{place}"') for place in (ALL, ONE))
        refuse_if(
            (
                n_places != 1,
                f'Expected "{ALL}" (or "{ONE}", for one record a request) once in send, found it {n_places} times; '
                f'such as {{"instances": "{ALL}"}}.',
            ),
            (not isinstance(self.read, str), f"Expected a path such as predictions as read, found {self.read!r}."),
        )
        object.__setattr__(self, "send", json.loads(text))

    @property
    def is_of_one(self) -> bool:
        """Whether a request holds one record."""
        return f'"{ONE}"' in json.dumps(self.send)

    def body(self, inputs: Any, first: int) -> bytes:
        """Return the body of a request about records, of which the first has this number, for messages.

        Raises:
            InputError: They cannot be written as JSON.
        """
        rows = _rows(inputs, first)
        return encoded(_filled(self.send, {ALL: rows, ONE: rows[0]}))

    def response(self, document: Any, n_records: int) -> Response:
        """Return the answers in the body of a response.

        Raises:
            TargetError: There is nothing at the path, or not one answer per record.
        """
        found = self._found(document)
        rows = [found] if self.is_of_one else found
        if not isinstance(rows, list) or len(rows) != n_records:
            what = f"{len(rows):,} entries" if isinstance(rows, list) else f"a single {type(rows).__name__}"
            raise TargetError(
                f"Expected a list of {n_records:,} answers {self._where()}, found {what}; {self._cure()}."
            )
        names = list(rows[0]) if rows and all(isinstance(row, dict) for row in rows) else None
        if names is not None and any(set(row) != set(names) for row in rows):
            raise TargetError(f"Expected the same names in every answer {self._where()}, found others; {self._cure()}.")
        try:
            values = np.array(rows if names is None else [[row[name] for name in names] for row in rows])
            values = values.astype(np.float64) if values.dtype == object else values
        except (TypeError, ValueError, OverflowError):
            raise TargetError(
                f"Expected a label, a number, or a number per class for each record {self._where()}, found other JSON; "
                f"{self._cure()}."
            ) from None
        columns = None if names is None else tuple(map(number_of_text, names))
        return Response(values=values, output=self.read, datatype="FP64", version="", columns=columns)

    def _found(self, document: Any) -> Any:
        for part in self.read.split(".") if self.read else ():
            try:
                if isinstance(document, list):
                    document = document[int(part)] if part.isdigit() else [entry[part] for entry in document]
                else:
                    document = document[part]
            except (KeyError, IndexError, TypeError):
                names = few(list(document), 5) if isinstance(document, dict) else f"a {type(document).__name__}"
                raise TargetError(f"Expected {brief(part)!r} in the answer, found {names}; {self._cure()}.") from None
        return document

    def _where(self) -> str:
        return f"at {brief(self.read)!r}" if self.read else "in the answer"

    def _cure(self) -> str:
        return "name the path to the answers (read in [endpoint], Endpoint(url, send=..., read=...))"


def _filled(template: Any, places: dict[str, Any]) -> Any:
    if isinstance(template, dict):
        return {name: _filled(value, places) for name, value in template.items()}
    if isinstance(template, list):
        return [_filled(value, places) for value in template]
    return places.get(template, template) if isinstance(template, str) else template


def _rows(inputs: Any, first: int) -> list[Any]:
    if not hasattr(inputs, "columns"):
        return _plain(np.asarray(dense(inputs)), "inputs", first)
    names = [str(name) for name in inputs.columns]
    columns = [_plain(column_of(inputs.iloc[:, i]), name, first) for i, name in enumerate(names)]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _plain(values: np.ndarray, name: str, first: int) -> list[Any]:
    """Values as JSON holds them; NaN and missing entries become null."""
    flat: list[Any] = values.ravel().tolist()
    if values.dtype.kind in "OUS":
        flat = list(texts_of(values, Tensor(name), first))
    elif values.dtype.kind == "f":
        flat = list(fractions_of(values.astype(np.float64), Tensor(name), first))
    return flat if values.ndim == 1 else list(np.array(flat, dtype=object).reshape(values.shape).tolist())
