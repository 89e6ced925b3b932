"""The meter between every attack and the model: it counts queries, asks about equal inputs once, and keeps answers."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from vestige.core.columns import is_sparse
from vestige.core.errors import ArtefactError, BudgetError, InputError, TargetError, UnsupportedModelError
from vestige.core.outputs import PredictedLabels
from vestige.core.progress import Progress, silent
from vestige.core.sparse import bytes_of_rows
from vestige.core.targets import Answers, GradientModel, MarginModel, QueryableModel, RemoteModel
from vestige.targets.answer_format import KINDS
from vestige.targets.ledger import KEY_BYTES, Ledger

PAID_AT_ONCE = 64  # inputs that a function is given at once whose answers are kept: what a crash may cost
_CUT_AT_ONCE = 1 << 11  # inputs whose bytes are cut out for their keys: as objects they are several times as large
_AGAIN = b"again"  # what keeps a second answer to the same input apart from the first

_MOST_GRADIENTS = 2 << 30  # bytes


class Meter:
    """Asks a model, and notes every query in the ledger.

    Args:
        model: The model.
        ledger: Where queries are counted and answers kept.
        keep: Whether answers are kept by the content of their input, so that equal inputs are asked once and a crash
            loses none. Those of a model that is far away always are.
        progress: Told how many answers of a pass are there.

    Attributes:
        keeps: Whether they are.
        failure: The first error that an attack was not told, because of what it could have read in it.
    """

    def __init__(
        self, model: QueryableModel, ledger: Ledger, *, keep: bool = False, progress: Progress = silent
    ) -> None:
        self._model, self._ledger, self._progress = model, ledger, progress
        self.keeps = keep or isinstance(model, RemoteModel)
        self.n_classes = model.n_classes
        self.failure: Exception | None = None

    def n_to_ask(self, inputs: Any, *, then: Iterable[Any] = (), again: bool = False) -> int:
        """Return how many queries `answers` would send, for these inputs and others that are asked about then."""
        if not self.keeps:
            return len(inputs) + sum(map(len, then))
        first = keys_of(inputs, _AGAIN if again else b"")
        return self._n_unknown({*first, *chain.from_iterable(map(keys_of, then))})

    def n_norms_to_ask(self, inputs: Any, labels: np.ndarray) -> int:
        """Return how many queries `gradient_norms` would send."""
        return self._n_unknown(set(_keys_of_norms(inputs, labels))) if self.keeps else len(inputs)

    def _n_unknown(self, keys: Set[bytes]) -> int:
        return len(keys) - len(self._ledger.answers(keys))

    def answers(self, inputs: Any, records: np.ndarray, attack: str, *, again: bool = False) -> Answers:
        """Return the answer to each input.

        Args:
            inputs: As they are in the records, or perturbed.
            records: Which record each is about.
            attack: Who asks, for the ledger.
            again: Ask although an equal input was answered before, to see whether the answer is the same. Asked
                a second time so, it is kept like others.

        Raises:
            BudgetError: There is no budget; nothing was asked.
            TargetError: The model does not answer. What it had answered before is kept.
        """
        records = _checked_records(records, len(inputs), self._ledger.n_records)
        if not self.keeps:
            self._ledger.take(len(inputs))
            with _naming(records):
                answers = self._model.answers(inputs)
            self._ledger.note(attack, records)
            return answers
        keys = keys_of(inputs, _AGAIN if again else b"")
        packed = self._kept_or_asked(
            records, attack, keys, lambda rows: self._parts(_taken(inputs, rows), records[rows])
        )
        return _unpacked(packed, self.n_classes)

    def gradient_norms(self, inputs: Any, labels: np.ndarray, records: np.ndarray, attack: str) -> np.ndarray:
        """Return the norm of the gradient of each input's loss; a gradient is a query like another, and kept like one.

        Raises:
            UnsupportedModelError: The model gives no gradients.
            BudgetError: There is no budget; nothing was asked.
            TargetError: A norm is not finite.
        """
        model = self._with_gradients()
        records = _checked_records(records, len(inputs), self._ledger.n_records)
        if not self.keeps or not len(inputs):
            self._ledger.take(len(inputs))
            norms = model.gradient_norms(inputs, labels)
            self._ledger.note(attack, records)
            return norms

        def parts(rows: np.ndarray) -> Iterator[_Packed]:
            for few in self._few(rows.size):
                norms = model.gradient_norms(_taken(inputs, rows[few]), labels[rows[few]])
                yield _Packed(few, _rows(norms.astype("<f8")))

        packed = self._kept_or_asked(records, attack, _keys_of_norms(inputs, labels), parts)
        return np.frombuffer(b"".join(packed), dtype="<f8")

    def last_layer_gradients(self, inputs: Any, labels: np.ndarray, records: np.ndarray, attack: str) -> np.ndarray:
        """Return the gradient of each input's loss in the weights of the last layer, in float32.

        Raises:
            UnsupportedModelError: The model gives no gradients, or they would not fit 2 GB.
            BudgetError: There is no budget; nothing was asked.
            TargetError: A gradient is not finite.
        """
        model = self._with_gradients()
        records = _checked_records(records, len(inputs), self._ledger.n_records)
        self._ledger.take(len(inputs))
        batches: list[np.ndarray] = []
        for batch in model.last_layer_gradients(inputs, labels):
            size = len(inputs) * batch[0].nbytes
            if size > _MOST_GRADIENTS:
                raise UnsupportedModelError(
                    f"Expected gradients of the last layer that fit {_MOST_GRADIENTS / 2**30:.0f} GB, found "
                    f"{batch.shape[1]:,} x {batch.shape[2]:,} weights for {len(inputs):,} records, "
                    f"{size / 2**30:.1f} GB; leave white_box_gradient out, or audit a sample of the records."
                )
            batches.append(batch)
        self._ledger.note(attack, records)
        return np.concatenate(batches) if batches else np.empty((0, 0, 0), dtype=np.float32)

    def margins(
        self, inputs: Any, labels: np.ndarray, records: np.ndarray, attack: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return margins and their gradients in the inputs; each is a query, and none is kept.

        Raises:
            UnsupportedModelError: The model gives no such gradients.
            BudgetError: There is no budget; nothing was asked.
            TargetError: A number is not finite.
        """
        if not isinstance(self._model, MarginModel):
            raise UnsupportedModelError(
                "Expected a torch module that takes records as they are for gradients in its inputs, found another; "
                "give records as it takes them, or leave white_box_distance out."
            )
        records = _checked_records(records, len(inputs), self._ledger.n_records)
        self._ledger.take(len(inputs))
        found = self._model.margins(inputs, labels)
        self._ledger.note(attack, records)
        return found

    def _with_gradients(self) -> GradientModel:
        if not isinstance(self._model, GradientModel):
            raise UnsupportedModelError("Expected a torch module for gradients, found a model that gives answers only.")
        return self._model

    def _kept_or_asked(
        self, records: np.ndarray, attack: str, keys: list[bytes], parts: "Callable[[np.ndarray], Iterator[_Packed]]"
    ) -> list[bytes]:
        known = self._ledger.answers(keys)
        first = {key: row for row, key in reversed(list(enumerate(keys))) if key not in known}
        rows = np.array(sorted(first.values()), dtype=np.intp)
        self._ledger.reserve(rows.size)
        self._ledger.note(attack, records[:0], kept=np.delete(records, rows))
        done = 0
        for part in self._kept_till_end(parts(rows)) if rows.size else ():
            asked = rows[part.rows]
            pairs = [(keys[row], answer) for row, answer in zip(asked.tolist(), part.answers, strict=True)]
            self._ledger.note(attack, records[asked], failed=part.n_failed, answers=pairs, version=part.version)
            known.update(pairs)
            done += asked.size
            self._progress("asking the target", done, rows.size)
        if any(key not in known for key in keys):
            raise TargetError(
                f"Expected an answer to each of {rows.size:,} queries, found {done:,}; those that came are kept, ask "
                "again."
            )
        return [known[key] for key in keys]

    def _kept_till_end(self, parts: "Iterator[_Packed]") -> "Iterator[_Packed]":
        """Say of whatever ends the answers of a model that is far away that those which came are kept."""
        try:
            yield from parts
        except BudgetError:
            raise
        except TargetError as error:
            if not isinstance(self._model, RemoteModel) or self._ledger.file is None:
                raise
            said = f"{str(error).removesuffix('.')}; start it again, {self._ledger.n_answers:,} answers are kept."
            raise TargetError(said) from error.__cause__

    def _parts(self, inputs: Any, records: np.ndarray) -> "Iterator[_Packed]":
        if isinstance(self._model, RemoteModel):
            with _naming(records):
                for part in self._model.answers_in_batches(inputs, self._ledger):
                    yield _Packed(part.rows, _packed(part.answers), part.version, part.n_failed)
            return
        for few in self._few(len(inputs)):
            with _naming(records[few]):
                answers = self._model.answers(_taken(inputs, few))
            yield _Packed(few, _packed(answers))

    def _few(self, n_queries: int) -> Iterator[np.ndarray]:
        """Positions of a few queries at a time, each of them taken from the budget just before."""
        for start in range(0, n_queries, PAID_AT_ONCE):
            few = np.arange(start, min(start + PAID_AT_ONCE, n_queries))
            self._ledger.take(few.size)
            yield few


class _Packed(NamedTuple):
    """Some of what was asked for, each answer as the bytes that are kept; see `AnswerBatch`."""

    rows: np.ndarray
    answers: list[bytes]
    version: str = ""
    n_failed: int = 0


def _keys_of_norms(inputs: Any, labels: np.ndarray) -> list[bytes]:
    pairs = zip(keys_of(inputs, b"gradient norm"), np.asarray(labels).tolist(), strict=True)
    return [hashlib.blake2b(b"%b%d" % pair, digest_size=KEY_BYTES).digest() for pair in pairs]


@contextmanager
def _naming(records: np.ndarray) -> Iterator[None]:
    """Name records by their number in the audit, where an error counts those that were asked about."""

    def named(match: re.Match[str]) -> str:
        place = int(match[2].replace(",", "")) - 1
        return f"{match[1]} record {records[place] + 1:,}" if 0 <= place < len(records) else match[0]

    try:
        yield
    except (InputError, TargetError) as error:
        told = re.sub(r"\b(for|in) record (\d+(?:,\d{3})*)", named, str(error))
        if told == str(error):
            raise
        raise type(error)(told) from error.__cause__


def _checked_records(records: Any, n_inputs: int, n_records: int) -> np.ndarray:
    numbers = np.asarray(records)
    if numbers.shape != (n_inputs,) or (numbers.size and (numbers.min() < 0 or numbers.max() >= n_records)):
        raise InputError(
            f"Expected the number of its record, in 0..{n_records - 1}, for each of {n_inputs:,} queries, found "
            f"{numbers.size:,} from {numbers.min(initial=0)} to {numbers.max(initial=0)}."
        )
    return numbers


def keys_of(inputs: Any, salt: bytes = b"") -> list[bytes]:
    """Return a key for each input that no other input has: a digest of its values and their types.

    Example:
        >>> a, b, c = keys_of(np.array([[0.0, 1.0], [2.0, 3.0], [0.0, 1.0]]))
        >>> a == b, a == c
        (False, True)
    """
    table = hasattr(inputs, "columns")
    columns = [inputs.iloc[:, i] for i in range(inputs.shape[1])] if table else [inputs]
    arrays = [
        values if is_sparse(values) else np.asarray(values.astype(object) if hasattr(values, "cat") else values)
        for values in columns
    ]
    head = hashlib.blake2b(salt, digest_size=KEY_BYTES, person=b"vestige-query")
    for i, array in enumerate(arrays):
        head.update(f"{inputs.columns[i] if table else ''!r} {array.dtype} {array.shape[1:]}".encode())
    of = partial(hashlib.blake2b, digest_size=KEY_BYTES, key=head.digest())
    keys: list[bytes] = []
    for start in range(0, len(inputs), _CUT_AT_ONCE):
        texts = [_bytes_of_rows(array[start : start + _CUT_AT_ONCE]) for array in arrays]
        keys += [of(b"".join(row)).digest() for row in zip(*texts, strict=True)]
    return keys


def _bytes_of_rows(array: Any) -> list[bytes]:
    if is_sparse(array):
        return bytes_of_rows(array)
    if array.dtype == object:
        return [_bytes_of(value) for value in array.tolist()]
    return _rows(np.ascontiguousarray(array))


def _rows(table: np.ndarray) -> list[bytes]:
    """The bytes of every row: cut out of one piece, which is ten times faster than row by row."""
    content, size = table.tobytes(), table.nbytes // max(1, len(table))
    if not size:
        return [b""] * len(table)
    return [content[start : start + size] for start in range(0, len(content), size)]


def _bytes_of(value: Any) -> bytes:
    is_array = isinstance(value, np.ndarray)  # its own text leaves the middle out
    text = f"{value.dtype} {value.shape} {value.tolist()}" if is_array else str(value)
    return f"{type(value).__qualname__} {len(text)} {text} ".encode("utf-8", "surrogatepass")


def _taken(inputs: Any, rows: np.ndarray) -> Any:
    return inputs.iloc[rows] if hasattr(inputs, "iloc") else inputs[rows]


def _packed(answers: Answers) -> list[bytes]:
    """Each answer as bytes: its kind, its type and its numbers, so that it can be read back alone."""
    table = answers.whole()
    table = table.astype(table.dtype.newbyteorder("<"))
    head = f"{answers.kind}|{table.dtype.str}|".encode()
    return [head + row for row in _rows(table)]


def _unpacked(packed: list[bytes], n_classes: int) -> Answers:
    if not packed:
        raise InputError("Expected at least one input to ask about, found none.")
    heads: dict[bytes, list[int]] = {}
    for row, entry in enumerate(packed):
        heads.setdefault(entry[: entry.index(b"|", entry.index(b"|") + 1) + 1], []).append(row)
    said = {head: head.decode("latin-1").split("|")[:2] for head in heads}
    kinds = {kind for kind, _ in said.values()}
    if len(kinds) > 1:
        raise ArtefactError(
            f"Expected answers of one kind, found {' and '.join(sorted(kinds))} in the ledger; let the model answer "
            "with one, and start a new run folder."
        )
    [kind] = kinds
    wide = () if kind == PredictedLabels.kind else (n_classes,)
    table = np.empty((len(packed), *wide), dtype=np.result_type(*(dtype for _, dtype in said.values())))
    for head, rows in heads.items():  # one, unless a function answers now in float32 and now in float64
        content = np.frombuffer(b"".join(packed[row][len(head) :] for row in rows), dtype=said[head][1])
        table[rows] = content.reshape(len(rows), *wide)
    return KINDS[kind](table)
