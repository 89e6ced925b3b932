"""Plain values and arrays of numbers out of a pickle that is read as data, never run.

Python's own unpickler calls whatever a file names. Here its instructions are only parsed (by `pickletools`, which
executes nothing) and those that build dicts, lists, tuples, text, bytes, numbers and NumPy arrays of numbers are
followed; a file that asks for anything else is refused, and what it asked for is named.
"""

import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vestige.core.errors import InputError
from vestige.core.messages import brief

_NUMBERS = "biuf"  # kinds of arrays that are admitted
_MARK = object()


@dataclass(frozen=True)
class _Named:
    """A function that a pickle refers to by name; it is never imported."""

    name: str


@dataclass(frozen=True, eq=False)
class _Shapeless:
    """An array before its shape, type and content are known."""


class _RefusedError(Exception):
    """What the pickle asked for, and does not get."""


def read_pickled_values(content: bytes, name: str) -> Any:
    r"""Return the value in a pickle of plain values and arrays of numbers.

    Args:
        content: The pickle, of any protocol, from Python 2 or 3. Text of Python 2 becomes `str` (Latin-1).
        name: What the file is called in messages.

    Raises:
        InputError: The pickle is damaged, or holds something else, which is named.

    Example:
        >>> read_pickled_values(b"(dp0\nS'labels'\np1\n(lp2\nI6\naI9\nas.", "data_batch_1")
        {'labels': [6, 9]}
    """
    try:
        return _Reader().read(content)
    except _RefusedError as refused:
        raise InputError(
            f"{name}: Expected a pickle of plain values and arrays of numbers, found {brief(str(refused))}, which is "
            "not loaded because it could run code; take the file from its publisher, or the binary version."
        ) from None
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError):
        raise InputError(
            f"{name}: Expected a whole pickle, found a truncated or damaged one; download it again."
        ) from None


@dataclass(eq=False)
class _Reader:
    """Stack and memo of one pickle."""

    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def read(self, content: bytes) -> Any:
        for opcode, argument, _ in pickletools.genops(content):
            name = opcode.name
            if name in _CONSTANTS:
                self.stack.append(argument)
            elif name in _STEPS:
                _STEPS[name](self, argument)
            elif name not in _IGNORED:
                raise _RefusedError(f"the instruction {name}")
        (value,) = self.stack
        return value

    def after_mark(self) -> list[Any]:
        """Take everything above the last mark, and the mark."""
        at = next((i for i in range(len(self.stack) - 1, -1, -1) if self.stack[i] is _MARK), -1)
        if at < 0:
            raise IndexError
        taken = self.stack[at + 1 :]
        del self.stack[at:]
        return taken

    def last(self, n: int) -> tuple[Any, ...]:
        taken = tuple(self.stack[-n:])
        if len(taken) != n:
            raise IndexError
        del self.stack[-n:]
        return taken

    def name(self, module: str, attribute: str) -> None:
        name = f"{module}.{attribute}"
        if name not in _ADMITTED:
            raise _RefusedError(name)
        self.stack.append(_Named(name))

    def call(self) -> None:
        called, arguments = self.last(2)
        make = _ADMITTED[called.name] if isinstance(called, _Named) else None
        if make is None:
            raise _RefusedError(f"a call of {getattr(called, 'name', 'a value')}")
        self.stack.append(make(*arguments))

    def build(self) -> None:
        built, state = self.last(2)
        if isinstance(built, np.dtype):
            value: Any = built.newbyteorder(state[1])
        elif isinstance(built, _Shapeless):
            _, shape, dtype, by_columns, data = state
            value = _array(data, dtype, shape, "F" if by_columns else "C")
        else:
            raise _RefusedError("a state for a value that has none")
        self.stack.append(value)
        for key, kept in self.memo.items():  # what was remembered before it was complete
            if kept is built:
                self.memo[key] = value


def _set_items(target: Any, flat: list[Any]) -> None:
    if not isinstance(target, dict) or len(flat) % 2:
        raise TypeError
    target.update(zip(flat[::2], flat[1::2], strict=True))


def _extend(target: Any, items: list[Any]) -> None:
    if not isinstance(target, list):
        raise TypeError
    target.extend(items)


def _dict(flat: list[Any]) -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    _set_items(made, flat)
    return made


def _bytes(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes into pickles that Python 2 can read."""
    if encoding != "latin1":
        raise ValueError
    return text.encode("latin-1")


def _dtype(code: str, *_: Any) -> np.dtype[Any]:
    dtype = np.dtype(str(code))
    if dtype.kind not in _NUMBERS:
        raise _RefusedError(f"an array of {dtype}")
    return dtype


def _array(data: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    if not isinstance(dtype, np.dtype):
        raise TypeError
    raw = data.encode("latin-1") if isinstance(data, str) else bytes(data)  # Python 2's text is bytes
    if len(raw) != dtype.itemsize * math.prod(shape):
        raise ValueError
    return np.frombuffer(raw, dtype).reshape(shape, order=order)


_ADMITTED: dict[str, Callable[..., Any] | None] = {
    "numpy.ndarray": None,  # only ever an argument of _reconstruct
    "numpy.dtype": _dtype,
    "_codecs.encode": _bytes,
}
for _core in ("numpy.core", "numpy._core"):
    _ADMITTED[f"{_core}.multiarray._reconstruct"] = lambda *_: _Shapeless()
    _ADMITTED[f"{_core}.numeric._frombuffer"] = _array

_IGNORED = {"PROTO", "FRAME", "STOP"}
_CONSTANTS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}


def _put(reader: _Reader, at: int | None) -> None:
    reader.memo[len(reader.memo) if at is None else at] = reader.stack[-1]


def _append(reader: _Reader, _: Any) -> None:
    (item,) = reader.last(1)
    _extend(reader.stack[-1], [item])


def _append_all(reader: _Reader, _: Any) -> None:
    items = reader.after_mark()
    _extend(reader.stack[-1], items)


def _set_item(reader: _Reader, _: Any) -> None:
    pair = reader.last(2)
    _set_items(reader.stack[-1], list(pair))


def _set_all_items(reader: _Reader, _: Any) -> None:
    flat = reader.after_mark()
    _set_items(reader.stack[-1], flat)


_STEPS: dict[str, Callable[[_Reader, Any], None]] = {
    "NONE": lambda reader, _: reader.stack.append(None),
    "NEWTRUE": lambda reader, _: reader.stack.append(True),
    "NEWFALSE": lambda reader, _: reader.stack.append(False),
    "MARK": lambda reader, _: reader.stack.append(_MARK),
    "EMPTY_DICT": lambda reader, _: reader.stack.append({}),
    "EMPTY_LIST": lambda reader, _: reader.stack.append([]),
    "EMPTY_TUPLE": lambda reader, _: reader.stack.append(()),
    "DICT": lambda reader, _: reader.stack.append(_dict(reader.after_mark())),
    "LIST": lambda reader, _: reader.stack.append(reader.after_mark()),
    "TUPLE": lambda reader, _: reader.stack.append(tuple(reader.after_mark())),
    "TUPLE1": lambda reader, _: reader.stack.append(reader.last(1)),
    "TUPLE2": lambda reader, _: reader.stack.append(reader.last(2)),
    "TUPLE3": lambda reader, _: reader.stack.append(reader.last(3)),
    "APPEND": _append,
    "APPENDS": _append_all,
    "SETITEM": _set_item,
    "SETITEMS": _set_all_items,
    "PUT": _put,
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "MEMOIZE": _put,
    "GET": lambda reader, at: reader.stack.append(reader.memo[at]),
    "BINGET": lambda reader, at: reader.stack.append(reader.memo[at]),
    "LONG_BINGET": lambda reader, at: reader.stack.append(reader.memo[at]),
    "GLOBAL": lambda reader, names: reader.name(*names.split(" ", 1)),
    "STACK_GLOBAL": lambda reader, _: reader.name(*reader.last(2)),
    "REDUCE": lambda reader, _: reader.call(),
    "BUILD": lambda reader, _: reader.build(),
}
