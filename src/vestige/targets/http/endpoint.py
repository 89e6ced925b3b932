"""A model behind an address, in the Open Inference Protocol (KServe, MLServer, Triton) or any service of JSON."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from hashlib import sha256
from itertools import islice
from queue import SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import numpy as np

from vestige.core.errors import InputError, TargetError, VestigeError, refuse_if
from vestige.core.messages import brief, few
from vestige.core.outputs import PredictedLabels
from vestige.core.targets import Allowance, AnswerBatch, Answers, ClassNames
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.http.json_template import JsonTemplate
from vestige.targets.http.open_inference import (
    DTYPES,
    OpenInference,
    Response,
    address_of,
    check_output,
    checked,
    metadata_of,
)
from vestige.targets.refusals import missing_package

if TYPE_CHECKING:
    from vestige.targets.http.sending import Sender

_WAITING = 1  # requests that wait for the next free connection, so that none waits for answers to be kept
_OURS = {"content-type", "content-length", "transfer-encoding", "accept-encoding", "connection"}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a server is asked to bear.

    Attributes:
        timeout: For one request and its answer [s].
        n_tries: How often one request is sent at most, if there is no answer.
        per_second: Requests that are sent at most, by all connections together; no bound if omitted.
        n_connections: Requests that are under way at once.
        batch: Records per request.

    Raises:
        InputError: One of them is not positive.
    """

    timeout: float = 30.0
    n_tries: int = 6
    per_second: float | None = None
    n_connections: int = 4
    batch: int = 32

    def __post_init__(self) -> None:
        """Refuse values that are not positive numbers."""
        for name, value in vars(self).items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if name in ("timeout", "per_second"):
                if not (is_number and 0 < value < math.inf) and (name, value) != ("per_second", None):
                    raise InputError(f"Expected a positive number as {name}, found {value!r}.")
            elif not (is_number and isinstance(value, int) and value >= 1):
                raise InputError(f"Expected {name} of at least 1, found {value!r}.")


@dataclass(frozen=True)
class Endpoint:
    """A model behind HTTP, in the Open Inference Protocol, version 2, with tensors as JSON, or as `send` says.

    In the protocol a DataFrame is sent as one tensor per column, named after it; its whole numbers are INT64, its other
    numbers FP64, text is BYTES. Certificates are always verified; SSL_CERT_FILE names others that are trusted.
    Redirects are not followed.

    Attributes:
        url: Such as `https://host/v2/models/NAME`, `.../versions/VERSION`, or these with `/infer`; with `send` any
            other, such as `https://host/v1/models/NAME:predict`.
        answers: How its answers are read.
        output: Which of its outputs; MLServer's scikit-learn models give `predict_proba` only if it is named.
        headers: Environment variables by header; their values are sent and never shown.
        limits: What the server is asked to bear.
        datatype: What numbers are sent as, such as FP32; by default what the model says, or else their own dtype.
        send: What is posted to a service of another kind, as JSON: `{"instances": "$inputs"}`; see `JsonTemplate`.
        read: Where its answers are, such as `predictions`.

    Raises:
        InputError: The URL is not that of a model or holds a secret, a header names no environment variable, or there
            is no such datatype.
    """

    url: str
    _: KW_ONLY
    answers: AnswerFormat = field(default_factory=AnswerFormat)
    output: str | None = field(default=None)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    limits: Limits = field(default_factory=Limits)
    datatype: str | None = field(default=None)
    send: Any = field(default=None, repr=False, hash=False)
    read: str = field(default="")

    def __post_init__(self) -> None:
        """Refuse what cannot be asked; nothing is sent."""
        template = self.template
        if template is None:
            address_of(self.url)
        elif template.is_of_one:
            object.__setattr__(self, "limits", replace(self.limits, batch=1))
        idle = (self.send is None and self.read) or (self.send is not None and (self.output or self.datatype))
        refuse_if((idle, "Expected read beside send alone, and neither output nor datatype beside it; leave it out."))
        object.__setattr__(self, "headers", dict(self.headers))
        for header, variable in self.headers.items():
            is_header = re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", header) and header.lower() not in _OURS
            refuse_if(
                (not is_header, f"Expected the name of a header that may be set, found {brief(header)!r}."),
                (
                    not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable),
                    f"Expected the name of an environment variable for the header {header}, found something else; put "
                    "the value into a variable and give its name, such as MODEL_TOKEN.",
                ),
            )
        if self.datatype is not None and (self.datatype not in DTYPES or self.datatype == "BYTES"):
            names = few([name for name in DTYPES if name != "BYTES"], 20)
            raise InputError(f"Expected a datatype for numbers, one of {names}, found {brief(self.datatype)!r}.")

    @property
    def template(self) -> JsonTemplate | None:
        """What is sent and read; None in the Open Inference Protocol."""
        if self.send is None:
            return None
        checked(self.url, "https://HOST/v1/models/NAME:predict")
        return JsonTemplate(self.url, self.send, self.read)

    def open_model(self, n_classes: int, classes: ClassNames = None) -> "EndpointModel":
        """Ask the model for its metadata and return it, ready to be queried.

        Raises:
            InputError: An environment variable is missing, or the model has several outputs and none was named.
            UnsupportedModelError: A package is missing.
            TargetError: The server does not answer, or has no such model.
        """
        try:
            from vestige.targets.http.sending import Sender, credentials_of
        except ModuleNotFoundError as error:
            raise missing_package(str(error.name), "a model behind HTTP", "http") from None
        return EndpointModel(self, Sender(self.url, credentials_of(self.headers), self.limits), n_classes, classes)


def _opened(endpoint: Endpoint, sender: "Sender") -> OpenInference:
    address = address_of(endpoint.url)
    metadata = metadata_of(sender.send(address.url, None, Event()).document)
    check_output(metadata, endpoint.output)
    return OpenInference(address, metadata, endpoint.datatype, endpoint.output)


class EndpointModel:
    """What an endpoint answers; metadata are asked for once, when it is made.

    Args:
        endpoint: Which model, and how it is asked.
        sender: Sends the requests.
        n_classes: Classes of the records.
        classes: Their names, if they have some.

    Raises:
        InputError: The model has several outputs and none was named.
        TargetError: The server does not answer, or has no such model.
    """

    def __init__(self, endpoint: Endpoint, sender: "Sender", n_classes: int, classes: ClassNames = None) -> None:
        self.n_classes, self._classes, self.names_classes = n_classes, classes, False
        self._endpoint, self._sender = endpoint, sender
        self._wire, self._url = endpoint.template or _opened(endpoint, sender), endpoint.url
        if isinstance(self._wire, OpenInference):
            self._url = self._wire.address.url

    @property
    def identity(self) -> str:
        """The model's URL and output, how its answers are read, and a digest of all that decides them."""
        endpoint, read = self._endpoint, self._endpoint.answers
        classes = None if self._classes is None else tuple(map(str, self._classes))
        parts: tuple[Any, ...] = (
            endpoint.output,
            endpoint.datatype,
            read.kind.kind,
            read.columns,
            self.n_classes,
            classes,
        )
        parts += (self._wire.send, self._wire.read) if isinstance(self._wire, JsonTemplate) else ()
        output = "" if endpoint.output is None else f", output {endpoint.output}"
        return f"{self._url}{output}, {read.kind.kind}, {sha256(repr(parts).encode()).hexdigest()[:16]}"

    def answers(self, inputs: Any) -> Answers:
        """Return an answer for every input, in order.

        Raises:
            InputError: The inputs cannot be sent to this model.
            TargetError: It does not answer, or not with what it was said to answer with.
        """
        kind = self._endpoint.answers.kind
        shape = (len(inputs),) if kind is PredictedLabels else (len(inputs), self.n_classes)
        table = np.empty(shape, dtype=np.int64 if kind is PredictedLabels else np.float64)
        for part in self.answers_in_batches(inputs):
            table[part.rows] = part.answers.whole()
        return kind(table)

    def answers_in_batches(self, inputs: Any, allowance: Allowance | None = None) -> Iterator[AnswerBatch]:
        """Answer in parts of a request each, as they arrive.

        Queries are taken from the allowance before every try: a request that fails may have been computed.

        All requests that were sent are waited for, also if one fails for good, before that is raised. Once the
        iterator is closed nothing more is sent.

        Raises:
            InputError: The inputs cannot be sent to this model.
            TargetError: It does not answer, not with what it was said to answer with, or another version does midway.
            BudgetError: The allowance is spent.
        """
        limits, stop, failure = self._endpoint.limits, Event(), None
        todo: SimpleQueue[int | None] = SimpleQueue()
        done: SimpleQueue[AnswerBatch | Exception | None] = SimpleQueue()
        starts = iter(range(0, len(inputs), limits.batch))
        versions: list[str] = []

        def work() -> None:
            while (start := todo.get()) is not None:
                try:
                    done.put(self._part(inputs, start, stop, allowance))
                except Exception as error:
                    done.put(error)

        def submit(n: int) -> int:
            ready = list(islice(starts, n))
            for start in ready:
                todo.put(start)
            return len(ready)

        # A thread per connection and two queues: futures cost as much as the rest of what is done for a short answer.
        # As daemons, because nobody ends them if the process ends before the iterator: it would wait for them forever.
        threads: list[Thread] = []
        try:
            for _ in range(min(limits.n_connections, -(-len(inputs) // limits.batch))):
                thread = Thread(target=work, name="vestige-endpoint", daemon=True)
                thread.start()
                threads.append(thread)
            n_pending = submit(limits.n_connections + _WAITING)
            while n_pending:
                batch = done.get()
                error = batch if isinstance(batch, Exception) else self._of_other_version(batch, versions)
                failure = failure or error
                n_pending += (submit(1) if failure is None else 0) - 1
                if isinstance(batch, AnswerBatch) and error is None:
                    yield batch
        finally:
            stop.set()
            for _ in threads:
                todo.put(None)
            for thread in threads:
                thread.join()
        if failure is not None:
            raise failure

    def _part(self, inputs: Any, start: int, stop: Event, allowance: Allowance | None) -> AnswerBatch | None:
        """Ask about one block of records; about none once it is too late."""
        if stop.is_set():
            return None
        end = min(start + self._endpoint.limits.batch, len(inputs))
        block = inputs.iloc[start:end] if hasattr(inputs, "iloc") else inputs[start:end]
        try:
            body = self._wire.body(block, start)
            reply = self._sender.send(self._wire.url, body, stop, allowance, end - start)
            response = self._wire.response(reply.document, end - start)
            answers = self._read(response, start, end)
        except VestigeError as error:
            problem = error
        else:
            return AnswerBatch(np.arange(start, end), answers, response.version, reply.n_failed)
        # Outside of the except block: what was raised may quote what the server echoes, and would be its context.
        raise self._shown(problem)

    def _shown(self, error: VestigeError) -> VestigeError:
        """An error of the same kind that names the model, and nothing secret."""
        said = str(error)
        where = "" if self._url in said else f" ({self._url})"
        return type(error)(self._sender.credentials.hidden(f"{said.removesuffix('.')}{where}."))

    def _read(self, response: Response, start: int, end: int) -> Answers:
        read = self._endpoint.answers
        if response.columns is not None and read.columns is None:
            read = replace(read, columns=response.columns)
        if read.kind is not PredictedLabels and not response.datatype.startswith("FP"):
            raise TargetError(
                f"Expected {read.kind.kind} as fractions, found {response.datatype} in the output "
                f"{brief(response.output)!r}, as labels are; name another output, such as predict_proba, or declare "
                "the answers as predicted labels."
            )
        self.names_classes = read.says_classes(response.values)
        return read.read(response.values, end - start, self.n_classes, self._classes, first=start)

    def _of_other_version(self, part: AnswerBatch | None, versions: list[str]) -> VestigeError | None:
        """An error if a part is of another version than those before, which `versions` keeps."""
        if part is None or part.version in versions:
            return None
        if not versions:
            versions.append(part.version)
            return None
        return self._shown(
            TargetError(
                f"Expected answers of version {brief(versions[0])!r} of the model throughout, found some of version "
                f"{brief(part.version)!r}; ask again when it no longer changes, or name the version in the URL."
            )
        )
