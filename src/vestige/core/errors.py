"""Errors a user can mend, by what to do next.

VestigeError            exit code
├── InputError          2   what was given is wrong: mend the file or the call
│   └── UnknownClassesError 2 a model has classes that the records lack: name them
├── OutputError         2   the result cannot be written: mend the place it should go to
├── RunFolderError      2   the run folder holds something else: name another folder
├── ArtefactError       2   something stored is damaged or foreign: remove it, it is computed again
├── UnsupportedModelError 2 a kind of model that cannot be used so: use another
├── TrainingError       2   a recipe failed, or its model is not what it should be: mend the recipe
└── TargetError         2   a model does not answer as it should: mend its interface, or how it was declared
    └── BudgetError     2   more queries than were allowed: allow more, or ask about fewer records

Every message says what was expected, what was found, where, and the cure, in one line.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class VestigeError(Exception):
    """Something the user can mend; printed as one line, without a traceback."""


class InputError(VestigeError, ValueError):
    """What was given cannot be audited as it is."""


class OutputError(VestigeError, OSError):
    """A result cannot be written where it should go."""


class RunFolderError(VestigeError):
    """A run folder holds another audit, or no audit at all."""


class ArtefactError(VestigeError):
    """A stored artefact is damaged, or is not the one that was asked for."""


class UnsupportedModelError(VestigeError, TypeError):
    """A kind of model, or of layer in it, that cannot be used in the way that was asked."""


class TrainingError(VestigeError, RuntimeError):
    """A recipe raised, or what it trained is no usable model."""


class UnknownClassesError(InputError):
    """A model has classes that the records lack.

    Args:
        message: As of every error.
        classes: All classes of the model.
    """

    def __init__(self, message: str, classes: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.classes = classes


class TargetError(VestigeError, RuntimeError):
    """A model that is asked does not answer, or what it answers is not what it was said to be."""


class BudgetError(TargetError):
    """There is no budget for the queries that are asked for; none of them was sent."""


@contextmanager
def refusing(
    kinds: type[BaseException] | tuple[type[BaseException], ...], message: str | Callable[[Any], str]
) -> Iterator[None]:
    """Say what a library or the operating system raises as one `InputError`; Vestige's own errors go through.

    Args:
        kinds: What may be raised.
        message: What is said of it, or what makes that of the error.
    """
    try:
        yield
    except VestigeError:
        raise
    except kinds as error:
        raise InputError(message if isinstance(message, str) else message(error)) from None


def refuse_if(*problems: tuple[object, str], kind: type[VestigeError] = InputError) -> None:
    """Refuse what was given for the first problem that there is.

    Args:
        problems: Of each, whether it is there, and the message.
        kind: Of the error.

    Raises:
        VestigeError: There is one; of that kind.
    """
    for is_there, message in problems:
        if is_there:
            raise kind(message)
