"""The user's own code and what goes with it, as bytes that another Python can read.

What is shipped goes to processes that this one started, or to the cluster that the user named, and back: nothing of it
is ever stored, and nothing that was stored is read this way.
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
    """Let `pickler`, some cloudpickle, ship functions and classes of the user's modules whole, not by their name.

    The other side may have no file of that name, or an older one.
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
        what: What the value is, for the message.
        value: Anything that can be pickled, with functions and classes of the user's modules in it.
        buffers: Takes the memory of large arrays, which is then not in the bytes.

    Raises:
        InputError: It cannot be pickled.
    """
    with shipping(what, pickler):
        callback = None if buffers is None else buffers.append
        return bytes(pickler.dumps(value, protocol=5, buffer_callback=callback))


@contextmanager
def shipping(what: str, pickler: ModuleType) -> Iterator[None]:
    """Tell what cannot be pickled in a block; the user's modules go by value in it."""
    try:
        with by_value(pickler):
            yield
    except Exception as error:
        raise InputError(
            f"Expected {what} that can be sent to another process, found {brief(told(error), 200)}; make what cannot "
            "be sent inside the function that trains, or train in this process."
        ) from None


def answer(pickler: ModuleType, unpack: Callable[[], tuple[Any, Any]], task: bytes) -> bytes:
    """Do a task where it was shipped to, and return the answer as bytes.

    Args:
        pickler: The cloudpickle that shipped it.
        unpack: Gives the work and what its tasks share.
        task: As `shipped` gave it.
    """
    try:
        return bytes(pickler.dumps(attempt(*unpack(), pickler.loads(task)), protocol=5))
    except Exception as error:  # what came cannot be read here, or what would go cannot be sent
        return bytes(pickler.dumps((None, told(error)), protocol=5))


def outcome_of(pickler: ModuleType, task: Any, answered: bytes) -> Outcome:
    """Return the outcome that an answer tells."""
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
    if name == "__main__":  # goes whole anyway
        return False
    return name.partition(".")[0] not in _INSTALLED and not file.startswith(_installed_folders())


@cache
def _installed_folders() -> tuple[str, ...]:
    """Where Python and installed packages are, as their modules name it, with and without links followed."""
    import site

    named: Sequence[str] = [
        *(sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")),
        *site.getsitepackages(),
        site.getusersitepackages(),
    ]
    return tuple({f"{path}/" for folder in named for path in (folder, str(Path(folder).resolve()))})
