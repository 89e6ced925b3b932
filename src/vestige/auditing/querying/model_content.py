"""What a model of this process consists of, as a digest: kept answers of one model are not those of another."""

import functools
import hashlib
import io
import itertools
import pickle
import types
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from vestige.targets.opening import is_torch_module

_LONG = 64  # bytes or letters from which on a text may be a model's, such as a booster's trees
_IDLE = ("n_jobs", "verbose")  # parameters that change no answer
_LIBRARIES = ("builtins", "sklearn", "torch", "xgboost", "lightgbm", "catboost")  # whose code is not a user's
_DEEP = 6  # steps from a function or an object of the user's to a model that it asks


def content_of(model: Any) -> str:
    """Return a digest of what decides a model's answers, as far as it can be seen.

    That is the numbers of every fitted model and array that it is, holds or refers to, and the code of functions on
    the way; a model that is trained again has another digest, and the same one read from its file has the same. Single
    numbers count if they are a network's or were fitted, which a name such as `threshold_` says. Fractions and texts of
    a user's own object count too; its whole numbers do not, which may count its queries. Lists and mappings are
    searched for models alone: what else is in them may be what is noted of queries. Whatever is behind an address that
    a function asks is not seen.

    Args:
        model: A fitted model, a function or anything that can be called.

    Example:
        >>> weights = np.ones(3)
        >>> content_of(lambda x: x @ weights) == content_of(lambda x: x @ (weights + 1))
        False
    """
    found = set(_pieces(model, _DEEP, {}))
    return hashlib.sha256(b"".join(sorted(found))).hexdigest()[:16]


def _pieces(thing: Any, depth: int, seen: dict[int, Any]) -> Iterator[bytes]:
    """Digests of what a thing consists of; in which order it is found does not matter."""
    if depth == 0 or id(thing) in seen or isinstance(thing, type | types.ModuleType):
        return
    seen[id(thing)] = thing  # kept, or another thing could get its number
    if isinstance(thing, np.ndarray):
        yield _of_array(thing)
    elif isinstance(thing, float | str | bytes):
        yield _of(repr(thing).encode())
    elif _is_model(thing):
        yield from _of_model(thing)
    elif isinstance(thing, list | tuple | dict):
        held = thing.values() if isinstance(thing, dict) else thing
        for one in held:
            if _is_model(one):
                yield from _of_model(one)
    else:
        for part in _parts(thing):
            yield from _pieces(part, depth - 1, seen)


def _parts(thing: Any) -> Iterator[Any]:
    """What a function or an object of the user's is made of."""
    if isinstance(thing, functools.partial):
        yield from (thing.func, *thing.args, *thing.keywords.values())
    elif isinstance(thing, types.MethodType):
        yield from (thing.__func__, thing.__self__)
    elif isinstance(thing, types.FunctionType):
        yield repr(_of_code(thing.__code__))
        yield from thing.__defaults__ or ()
        yield from (thing.__kwdefaults__ or {}).values()
        for cell in thing.__closure__ or ():
            with suppress(ValueError):  # an empty one
                yield cell.cell_contents
        for name in thing.__code__.co_names:
            known = thing.__globals__.get(name)
            if isinstance(known, np.ndarray | list | dict) or _is_model(known) or _is_neighbour(known, thing):
                yield known
    elif hasattr(thing, "__dict__"):
        yield type(thing).__call__ if callable(thing) else None
        # A text or fraction may be a note or a clock: then answers are refused, which is better than those of another.
        yield from vars(thing).values()


def _is_neighbour(thing: Any, function: types.FunctionType) -> bool:
    return isinstance(thing, types.FunctionType) and thing.__module__ == function.__module__


def _is_model(thing: Any) -> bool:
    return is_torch_module(thing) or (hasattr(thing, "predict") and not isinstance(thing, type))


def _of_model(model: Any) -> Iterator[bytes]:
    yield _of(type(model).__qualname__.encode())
    yield from _of_class(type(model))
    if is_torch_module(model):
        yield _of(repr(model).encode())  # the layers, those without weights too
        for layer in model.modules():
            yield from _of_class(type(layer))
            if not type(layer).__module__.startswith("torch."):
                for name, value in vars(layer).items():
                    if isinstance(value, float):  # such as a temperature
                        yield _of(f"{name} {float(value)!r}".encode())
    for name, value in _parameters_of(model).items():
        if isinstance(value, str | int | float | None) and name.rpartition("__")[2] not in _IDLE:
            yield _of(f"{name} {value!r}".encode())
        elif isinstance(value, types.FunctionType):
            yield _of_code(value.__code__)
    collected = _Collector()
    with suppress(Exception):  # what cannot be pickled ends the search in the same place every time
        collected.dump(model)
    yield from sorted(collected.found)


def _of_class(kind: type) -> Iterator[bytes]:
    """The code of a class of the user's: what it does to a model's answers, such as rounding them."""
    for base in kind.__mro__:
        if base.__module__.partition(".")[0] not in _LIBRARIES:
            yield from (_of_code(part.__code__) for part in vars(base).values() if isinstance(part, types.FunctionType))


def _parameters_of(model: Any) -> dict[str, Any]:
    """Parameters of an estimator, such as how many neighbours are asked."""
    with suppress(Exception):
        return dict(model.get_params(deep=True))
    return {}


class _Collector(pickle.Pickler):
    """Goes through all that an object holds and notes its arrays; what a pickle looks like, which differs, is dropped.

    How often an array is met, and through which references, changes when a model answers or is read from a file. Single
    numbers may be a counter or a clock, unless they have the name of what was fitted.
    """

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), protocol=5)
        self.found: set[bytes] = set()

    def persistent_id(self, thing: Any) -> str | None:
        if isinstance(thing, type | types.ModuleType | types.FunctionType | types.BuiltinFunctionType):
            return "known by name"
        if isinstance(thing, np.ndarray) and not thing.dtype.hasobject:
            self.found.add(_of_array(thing))
            return "noted"
        if hasattr(thing, "detach") and hasattr(thing, "cpu"):  # a tensor
            self.found.add(_of_tensor(thing))
            return "noted"
        if isinstance(thing, bytes | bytearray | str) and len(thing) >= _LONG:
            self.found.add(_of(thing.encode() if isinstance(thing, str) else bytes(thing)))
            return "noted"
        self.found.update(_fitted_numbers(thing))
        return None


def _fitted_numbers(thing: Any) -> Iterator[bytes]:
    """Digests of the single numbers that an object was fitted, alone or in a list: `a_` of a calibrator, `coef_`."""
    held = getattr(thing, "__dict__", None)
    for name, value in held.items() if isinstance(held, dict) else ():
        if isinstance(name, str) and name.endswith("_") and not name.endswith("__"):
            numbers = value if isinstance(value, list | tuple) else [value]
            if numbers and all(isinstance(number, int | float | np.number | np.bool_) for number in numbers):
                yield _of(f"{name} {np.array(numbers).tolist()!r}".encode())


def _of_array(array: np.ndarray) -> bytes:
    names = array.dtype.names
    if names is not None:  # bytes between the fields are anything
        return _of(b"".join(itertools.chain(map(str.encode, names), (_of_array(array[name]) for name in names))))
    return _of(f"{array.dtype.str} {array.shape} ".encode(), b"" if array.dtype.hasobject else array.tobytes())


def _of_tensor(tensor: Any) -> bytes:
    import torch  # it is there, or there would be no tensor

    plain = tensor.detach().cpu()
    plain = (plain if plain.layout is torch.strided else plain.to_dense()).contiguous()
    content = plain.reshape(-1).view(torch.uint8).numpy() if plain.numel() else b""
    return _of(f"{tensor.dtype} {tuple(tensor.shape)} ".encode(), content)


def _of_code(code: types.CodeType) -> bytes:
    constants = b"".join(map(_of_constant, code.co_consts))
    return _of(code.co_code + constants + " ".join(code.co_names).encode())


def _of_constant(constant: Any) -> bytes:
    if isinstance(constant, types.CodeType):
        return _of_code(constant)
    if isinstance(constant, tuple):
        return b"(" + b"".join(map(_of_constant, constant)) + b")"
    if isinstance(constant, frozenset):  # whose order is another one in every process
        return b"{" + b"".join(sorted(map(_of_constant, constant))) + b"}"
    return repr(constant).encode()


def _of(*pieces: Any) -> bytes:
    """The digest of pieces one after the other, which are not put together: a model may be as large as the memory."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.digest()
