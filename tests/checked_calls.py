"""The types of a call, shapes of arrays included, are checked at some calls of a test, not at each.

Every function of Vestige is wrapped by jaxtyping and beartype (`--jaxtyping-packages` in pyproject.toml). A check costs
about 0.1 ms, an audit makes some 30,000 calls, and so checking each more than doubled its time. Here each test checks
the first, second, fourth, eighth … call of each function: a wrong annotation or a caller that passes a wrong kind
shows at the first. A kind that only a later call has (one example of many of Hypothesis) is found by
`--check-every-call`, which `make typed` runs, and the workflow of GitHub.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any

import jaxtyping

_in_full = jaxtyping.jaxtyped
_calls: dict[Callable[..., Any], int] = {}


def begin_test() -> None:
    """What was called before this test does not count."""
    _calls.clear()


def check_some_calls() -> None:
    """From here on, modules of Vestige that are imported check some of their calls. None may be imported already."""
    jaxtyping.jaxtyped = _jaxtyped  # type: ignore[assignment]


def _jaxtyped(fn: Any = None, *, typechecker: Any) -> Any:
    """The decorator that jaxtyping's import hook puts on each function and class."""
    again = functools.partial(_jaxtyped, typechecker=typechecker)
    if fn is None:
        return again
    if inspect.isclass(fn):
        made = vars(fn).get("__init__")  # an inherited one is the other class's to check
        if dataclasses.is_dataclass(fn) and made is not None and not hasattr(made, "checks_some"):
            fn.__init__ = again(made)  # type: ignore[method-assign]
        return fn
    if isinstance(fn, classmethod | staticmethod):
        return type(fn)(again(fn.__func__))
    if isinstance(fn, property):
        return property(*(f and again(f) for f in (fn.fget, fn.fset, fn.fdel)))
    return _at_some_calls(fn, typechecker)


def _at_some_calls(fn: Callable[..., Any], typechecker: Any) -> Callable[..., Any]:
    checked: Callable[..., Any] | None = None  # made at the first call: most functions are never called in a process

    @functools.wraps(fn)
    def called(*args: Any, **kwargs: Any) -> Any:
        nonlocal checked
        n = _calls[fn] = _calls.get(fn, 0) + 1
        if n & (n - 1):  # no power of two
            return fn(*args, **kwargs)
        if checked is None:
            checked = _in_full(fn, typechecker=typechecker)
        return checked(*args, **kwargs)

    called.checks_some = True  # type: ignore[attr-defined]
    return called
