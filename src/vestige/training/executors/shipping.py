"""The user's own code and data as bytes that another Python process can read.

The bytes go to processes that this one started, or to the cluster that the user named, and back. They are never stored,
and no stored file is read this way.
"""

import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from vestige.core.errors import InputError
from vestige.core.jobs import Outcome
from vestige.core.messages import brief
from vestige.training.executors.in_process import attempt, told

_INSTALLED = ("vestige",)  # also where it is run from its sources


@contextmanager
def by_value(pickler: ModuleType) -> Iterator[None]:
    """Let `pickler`, some cloudpickle, send functions and classes of the user's modules by value, not by name.

    The other process may have no module of that name, or an older one.
    """
    with ExitStack() as registered:
        for module in users_modules():
            if module.__name__ not in pickler.list_registry_pickle_by_value():
                pickler.register_pickle_by_value(module)
                registered.callback(pickler.unregister_pickle_by_value, module)
        yield


def users_modules() -> list[ModuleType]:
    """Return the imported modules that come neither with Python nor with an installed package."""
    return [module for name, module in list(sys.modules.items()) if _is_users(name, module)]


def shipped(pickler: ModuleType, what: str, value: Any, buffers: list[Any] | None = None) -> bytes:
    """Return a value as bytes.

    Args:
        pickler: Some cloudpickle.
        what: Name of the value in the message.
        value: Anything that can be pickled, with functions and classes of the user's modules in it.
        buffers: Receives the memory of large arrays, which the bytes then do not contain.

    Raises:
        InputError: It cannot be pickled.
    """
    with shipping(what, pickler):
        callback = None if buffers is None else buffers.append
        return bytes(pickler.dumps(value, protocol=5, buffer_callback=callback))


@contextmanager
def shipping(what: str, pickler: ModuleType) -> Iterator[None]:
    """Turn a failure to pickle into an `InputError`; the user's modules are sent by value."""
    try:
        with by_value(pickler):
            yield
    except Exception as error:
        raise InputError(
            f"Expected {what} that can be sent to another process, found {brief(told(error), 200)}; make what cannot "
            "be sent inside the function that trains, or train in this process."
        ) from None


def answer(pickler: ModuleType, unpack: Callable[[], tuple[Any, Any]], task: bytes) -> bytes:
    """Run a task where it was sent, and return the answer as bytes.

    Args:
        pickler: The cloudpickle that shipped it.
        unpack: Returns the work and the data that tasks share.
        task: As `shipped` gave it.
    """
    try:
        return bytes(pickler.dumps(attempt(*unpack(), pickler.loads(task)), protocol=5))
    except Exception as error:  # the task cannot be read here, or the result cannot be sent
        return bytes(pickler.dumps((None, told(error)), protocol=5))


def outcome_of(pickler: ModuleType, task: Any, answered: bytes) -> Outcome:
    """Return the outcome of an answer."""
    try:
        return Outcome(task, *pickler.loads(answered))
    except Exception as error:
        return Outcome(task, error=told(error))


def _is_users(name: str, module: object) -> bool:
    file = getattr(module, "__file__", None)
    if not isinstance(module, ModuleType) or not isinstance(file, str) or module.__name__ != name:
        return False
    if not Path(file).is_absolute():  # such as of torch.ops, which no file holds
        return False
    if name == "__main__":  # is sent by value anyway
        return False
    return name.partition(".")[0] not in _INSTALLED and not file.startswith(_installed_folders())


@cache
def _installed_folders() -> tuple[str, ...]:
    """Folders of Python and of installed packages, as modules name them, with and without resolved links."""
    import site

    named: Sequence[str] = [
        *(sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")),
        *site.getsitepackages(),
        site.getusersitepackages(),
    ]
    return tuple({f"{path}/" for folder in named for path in (folder, str(Path(folder).resolve()))})
