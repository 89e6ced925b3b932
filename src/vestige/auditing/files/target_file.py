"""The tables of `audit.toml` that name the audited model and how it may be queried."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag

from vestige.auditing.files.defence_file import FrontTable
from vestige.core.errors import InputError, refuse_if
from vestige.core.messages import seconds_of
from vestige.core.outputs import Logits, PredictedLabels, Probabilities
from vestige.core.predictions import Predictions
from vestige.core.schema import Schema, Written
from vestige.core.targets import Access
from vestige.core.views import MirrorAndShifts, PipelineDraws
from vestige.targets.answer_format import AnswerFormat, Kind
from vestige.targets.files.model_file import ModelFile
from vestige.targets.http.endpoint import Endpoint, Limits
from vestige.targets.opening import DeclaredModel, is_torch_module

_KINDS: Mapping[str, Kind] = {"probabilities": Probabilities, "logits": Logits, "labels": PredictedLabels}
_TABLES = (".csv", ".gz", ".parquet", ".npz")


@dataclass(frozen=True, kw_only=True)
class DrawsTable(Schema):
    """Views that are draws of the pipeline that training used: `module:function`, and how many."""

    augment: str
    n_draws: int = PipelineDraws.n_draws


_Views = Annotated[
    Annotated[MirrorAndShifts, Tag("shifts")] | Annotated[DrawsTable, Tag("draws")],
    Discriminator(lambda said: "draws" if isinstance(said, DrawsTable) or "augment" in said else "shifts"),
]
"""Views by what a table of them says: a function that draws, or shifts."""


@dataclass(frozen=True, kw_only=True)
class TargetTable(Schema):
    """`[target]`: the model, and what the adversary gets of it.

    Attributes:
        model: `module:name`, a file, a URL, or a table of predictions.
        access: label, confidence or gradients.
        answers: What the model answers with, where it does not say it itself.
        classes: The classes in the order of its answers' columns, if that is not the records'.
        factory: `module:name` of a function that makes the network that weights in a file belong to.
        output: Which of the model's outputs holds its answers.
        budget: The most queries that may be sent.
        price: Price of 1,000 queries.
        views: Changed copies of each record that are asked about too: shifts and mirrors of an image, or draws of the
            training pipeline.
        defence: What stands in front of the model and changes its answers.
    """

    model: str
    access: Access = Access.CONFIDENCE
    answers: Literal["probabilities", "logits", "labels"] | None = None
    classes: list[str | int] | None = None
    factory: str | None = None
    output: str | None = None
    budget: int | None = None
    price: float | None = None
    views: _Views | None = None
    defence: FrontTable | None = None


@dataclass(frozen=True, kw_only=True)
class EndpointTable(Schema):
    """`[endpoint]`: how a model behind an address is asked.

    Attributes:
        headers: Names of HTTP headers and the environment variable each is taken from.
        timeout: Time for one request, such as `30s`.
        n_tries: Tries of one request.
        per_second: Requests a second at most.
        n_connections: Requests at a time.
        batch: Records per request.
        datatype: Type of the numbers that are sent, such as FP32.
        send: What is posted to a service outside the Open Inference Protocol, with "$inputs" for the records.
        read: Path to the answers in what it answers.
    """

    headers: dict[str, str] = field(default_factory=dict)
    timeout: str = "30s"
    n_tries: int = 6
    per_second: float | None = None
    n_connections: int = 4
    batch: int = 32
    datatype: str | None = None
    send: Annotated[Any, Written(dict[str, Any] | list[Any] | str)] = None
    read: str | None = None


def model_of(
    part: TargetTable,
    endpoint: EndpointTable | None,
    folder: Path,
    named: Callable[[str], Any],
    read_table: Callable[[Path], Predictions],
    *,
    trust_pickle: bool = False,
) -> Any:
    """Return the model that an audit file names: an object of Python, a model source, or predictions.

    Args:
        part: The table `target`.
        endpoint: The table `endpoint`, if there is one.
        folder: Where relative paths start.
        named: Finds `module:name`.
        read_table: Reads a table of predictions.
        trust_pickle: Whether a file may be unpickled.

    Raises:
        InputError: There is no such model, or it is said to be two things.
    """
    if is_address(part.model):
        return _endpoint(part, endpoint or EndpointTable())
    if endpoint is not None:
        raise InputError(f"Expected a URL as model beside [endpoint], found {part.model}; leave out the table.")
    path = folder / part.model
    is_file = ":" not in part.model or path.exists()
    if is_file and path.suffix.lower() in _TABLES:
        _only(part, "a table of predictions", "access", "defence")
        if not path.is_file():
            raise InputError(f"Expected a table of predictions at {part.model}, found no file; check the path.")
        return read_table(path)
    if is_file:
        factory = None if part.factory is None else named(part.factory)
        return ModelFile(path, _format(part), factory=factory, output=part.output, trust_pickle=trust_pickle)
    _only(part, "an object of Python", "access", "answers", "classes", "budget", "price", "views", "defence")
    return _of_python(named(part.model), part)


def is_address(model: str) -> bool:
    """Whether a model is behind an address, whatever is wrong with it."""
    return "://" in model


def _endpoint(part: TargetTable, said: EndpointTable) -> Any:
    limits = Limits(
        timeout=seconds_of(said.timeout),
        n_tries=said.n_tries,
        per_second=said.per_second,
        n_connections=said.n_connections,
        batch=said.batch,
    )
    endpoint = Endpoint(
        part.model,
        answers=_format(part) or AnswerFormat(),
        output=part.output,
        headers=said.headers,
        limits=limits,
        datatype=said.datatype,
        send=said.send,
        read=said.read or "",
    )
    # After the address was checked: before that it may hold a secret, which would be quoted.
    _only(part, "an endpoint", "access", "answers", "classes", "output", "budget", "price", "views", "defence")
    return endpoint


def _format(part: TargetTable) -> AnswerFormat | None:
    columns = None if part.classes is None else tuple(part.classes)
    if part.answers is None and columns is None:
        return None
    return AnswerFormat(_KINDS[part.answers or "probabilities"], columns)


def _only(part: TargetTable, what: str, *known: str) -> None:
    """Refuse entries that would do nothing."""
    idle = sorted(name for name, value in vars(part).items() if value is not None and name not in ("model", *known))
    if idle:
        name = part.model if ":" in part.model else Path(part.model).name
        raise InputError(f"Expected no {idle[0]} in [target] for {what} ({name}), found one; leave it out.")


def _of_python(model: Any, part: TargetTable) -> Any:
    if not _is_model(model):
        if not callable(model):
            raise InputError(f"Expected a model or a function as {part.model}, found {type(model).__name__}.")
        if not _wants_inputs(model):
            model = called(model, part.model)
    format = _format(part)
    if format is None:
        return model
    refuse_if(
        (
            not _is_model(model) and not callable(model),
            f"Expected {part.model}() to return a model or a function, found {type(model).__name__}; return one.",
        ),
        (
            _is_model(model) and not is_torch_module(model),
            f"Expected no answers or classes in [target] for {part.model}, a model that says them itself, found some; "
            "leave them out.",
        ),
    )
    return DeclaredModel(model, format)


def _is_model(value: Any) -> bool:
    return is_torch_module(value) or hasattr(value, "predict") or hasattr(value, "open_model")


def _wants_inputs(function: Callable[..., Any]) -> bool:
    """Whether a function answers for inputs; one without required arguments returns the model instead."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of compiled code
        return True
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(p.kind in positional and p.default is p.empty for p in parameters)


def called(function: Any, name: str) -> Any:
    """Return what a user's function returns.

    Raises:
        InputError: It is none, or it failed.
    """
    if not callable(function):
        raise InputError(f"Expected a model, records or a function as {name}, found {type(function).__name__}.")
    try:
        return function()
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(f"Expected {name}() to return something, found {type(error).__name__}: {error}.") from error
