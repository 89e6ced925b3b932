"""A digest of a model of this process, by which kept answers of one model are not taken for another's."""

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

_IDLE = ("n_jobs", "verbose")  # parameters that change no answer
_LIBRARIES = ("builtins", "sklearn", "torch", "xgboost", "lightgbm", "catboost")  # whose code is not a user's
_SIMPLE = str | int | float | np.number | np.bool_ | None


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
    collector = _Collector(set(), {})
    collector.note(model)
    return hashlib.sha256(b"".join(sorted(collector.digests))).hexdigest()[:16]


class _Collector(pickle.Pickler):
    """Goes through all that a model holds and notes what decides its answers.

    What a pickle looks like, which differs from process to process, is dropped, and so is the order of what is noted.

    Args:
        digests: Of what was noted.
        seen: Functions and objects of the user's by their number; kept, or another one could get the same.
    """

    def __init__(self, digests: set[bytes], seen: dict[int, Any]) -> None:
        super().__init__(io.BytesIO(), protocol=5)
        self.digests, self._seen = digests, seen

    def note(self, thing: Any) -> None:
        """Note a thing and all that it holds; what cannot be pickled ends this in the same place every time."""
        with suppress(Exception):
            _Collector(self.digests, self._seen).dump(thing)

    def persistent_id(self, thing: Any) -> str | None:
        """Note what decides an answer; a value says that there is nothing more in it."""
        if isinstance(thing, types.ModuleType | types.BuiltinFunctionType):
            return "known by name"
        if isinstance(thing, type):
            self.digests.update(_of_class(thing))
        elif isinstance(thing, np.ndarray) and not thing.dtype.hasobject:
            self.digests.add(_of_array(thing))
        elif hasattr(thing, "detach") and hasattr(thing, "cpu") and not is_torch_module(thing):
            self.digests.add(_of_tensor(thing))
        elif isinstance(thing, float | str):
            self.digests.add(_of(repr(thing).encode()))
        elif isinstance(thing, bytes | bytearray):
            self.digests.add(_of(thing))
        else:
            self.digests.update(_of_attributes(thing))
            return None
        return "noted"

    def reducer_override(self, thing: Any) -> Any:
        """Note the parts of a function, or of an object of the user's that is no model, each on its own."""
        parts = _parts(thing)
        if parts is None:
            return NotImplemented
        if id(thing) not in self._seen:
            self._seen[id(thing)] = thing
            for part in parts:
                # What else a list or a mapping holds may be what is noted of queries.
                held = part.values() if isinstance(part, dict) else part if isinstance(part, list | tuple) else None
                for one in [part] if held is None else filter(_is_model, held):
                    self.note(one)
        return tuple, ()


def _parts(thing: Any) -> list[Any] | None:
    """What a function or an object of the user's is made of; None of anything else."""
    if isinstance(thing, functools.partial):
        return [thing.func, *thing.args, *thing.keywords.values()]
    if isinstance(thing, types.MethodType):
        return [thing.__func__, thing.__self__]
    if isinstance(thing, types.FunctionType):
        code, known = thing.__code__, [thing.__globals__.get(name) for name in thing.__code__.co_names]
        parts = [_of_code(code), *(thing.__defaults__ or ()), *(thing.__kwdefaults__ or {}).values()]
        for cell in thing.__closure__ or ():
            with suppress(ValueError):  # an empty one
                parts.append(cell.cell_contents)
        return parts + [
            value
            for value in known
            if isinstance(value, np.ndarray | list | dict)
            or _is_model(value)
            or (isinstance(value, types.FunctionType) and value.__module__ == thing.__module__)
        ]
    if _is_model(thing) or not hasattr(thing, "__dict__") or type(thing).__module__.partition(".")[0] in _LIBRARIES:
        return None
    # A text or fraction may be a note or a clock: then answers are refused, which is better than those of another.
    return [type(thing), *vars(thing).values()]


def _is_model(thing: Any) -> bool:
    return is_torch_module(thing) or (hasattr(thing, "predict") and not isinstance(thing, type))


def _of_class(kind: type) -> Iterator[bytes]:
    """The name of a class, and its code if it is a user's: what it does to answers, such as rounding them."""
    yield _of(kind.__qualname__.encode())
    for base in kind.__mro__:
        if base.__module__.partition(".")[0] not in _LIBRARIES:
            yield from (_of_code(part.__code__) for part in vars(base).values() if isinstance(part, types.FunctionType))


def _of_attributes(thing: Any) -> Iterator[bytes]:
    """Layers of a network, parameters of an estimator, and numbers that were fitted: `a_` of a calibrator, `coef_`."""
    if is_torch_module(thing):
        yield _of(repr(thing).encode())  # those without weights too
    parameters: dict[str, Any] = {}
    with suppress(Exception):
        parameters = thing.get_params(deep=False)
    for name, value in parameters.items():
        if isinstance(value, _SIMPLE) and name not in _IDLE:
            yield _of(f"{name} {value!r}".encode())
    for name, value in getattr(thing, "__dict__", {}).items():
        numbers = value if isinstance(value, list | tuple) else [value]
        is_fitted = name.endswith("_") and not name.endswith("__") and all(isinstance(n, _SIMPLE) for n in numbers)
        if is_fitted or isinstance(value, float):  # such as a temperature
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
