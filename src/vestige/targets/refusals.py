"""What is said of a model file that cannot be opened, in one line, whatever the library made of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from vestige.core.errors import InputError, TargetError, UnsupportedModelError, VestigeError
from vestige.core.messages import brief


def damaged(path: Path, what: str, error: Exception) -> InputError:
    """Return what to raise for a file that is not what its name says; `what` with its article, such as "a program"."""
    said = reason(error).replace(str(path), path.name)
    return InputError(f"Expected {what} in {path.name}, found a damaged or foreign file: {brief(said, 200)}.")


def not_trusted(path: Path, what: str, safe: str) -> UnsupportedModelError:
    """Return what to raise for a file that could run code and was not said to be trusted.

    Args:
        path: The file.
        what: What it holds, with its article.
        safe: Formats that run nothing.
    """
    return UnsupportedModelError(
        f"Expected a model file that runs nothing, found {path.name}: {what} can run any code when it is loaded; store "
        f"the model as {safe}, or pass --trust-pickle (trust_pickle=True) if you made it yourself."
    )


def answered(model: Callable[..., Any], *given: Any) -> Any:
    """Return what a model or a function gives, whatever it may raise.

    Raises:
        TargetError: It failed on what it was given.
    """
    try:
        return model(*given)
    except VestigeError:
        raise
    except (Exception, SystemExit) as error:  # the exit code is ours to give
        raise unanswered(error) from error


def unanswered(error: BaseException) -> TargetError:
    """Return what to raise when a model fails on the records it is asked about."""
    return TargetError(
        f"Expected the model to answer, found that it failed: {type(error).__name__}: {brief(reason(error), 200)}; "
        "give records like those it was made for, or declare in [inputs] (InputSpace) how they become such."
    )


def missing_package(package: str, what: str, extra: str) -> UnsupportedModelError:
    """Return what to raise when the package that opens a file is not installed."""
    return UnsupportedModelError(
        f"Expected the package {package} for {what}, found none; pip install 'vestige[{extra}]'."
    )


def reason(error: BaseException) -> str:
    """Return the first lines of a library's message, without its stack, on one line."""
    said = str(error).split("Stack trace:")[0].split("Traceback (")[0]
    return brief(" ".join(said.split()) or type(error).__name__, 500).rstrip(".;: ")
