"""Requests to a model behind HTTP: with retries, a bounded rate, and no secret in any message."""

import base64
import json
import os
import random
import ssl
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from queue import SimpleQueue
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, quote_plus, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

import httpx
import orjson

from vestige.core.errors import InputError, TargetError, refuse_if
from vestige.core.messages import brief
from vestige.core.targets import Allowance

if TYPE_CHECKING:
    from vestige.targets.http.endpoint import Limits

_FIRST_WAIT = 0.5  # before the second try [s]; doubled before every other
_LONGEST_WAIT = 30.0  # [s]
_LONGEST_ASKED_FOR = 120.0  # that a server may ask to wait by Retry-After [s]
_KEPT = 3.0  # that an idle connection is used again [s]; many servers close theirs after 5
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_BEFORE_THE_MODEL = frozenset({401, 403, 404, 405, 411, 413, 414, 415, 429, 431})  # said before one computes
_READ = 1 << 14  # of an error's body
_QUOTED = 200  # characters of a server's own words
_FEWEST = 4  # characters of a secret that is looked for in other writings than its own
_RUN = 8  # characters of a secret in a row that are hidden wherever they stand
_SCHEMES = {"basic", "bearer", "token", "apikey", "digest", "negotiate"}

_HEADERS = {
    "User-Agent": "vestige",
    "Accept": "application/json",
    "Accept-Encoding": "identity",  # to compress costs a server more than it saves on answers that are short
    "Content-Type": "application/json",
}

_CURES = {
    400: "check the shape and the datatype of the inputs and the name of the output",
    404: "check the URL; the server lists its models at /v2/models or /v2/repository/index",
    405: "check the URL, which should be that of a model",
    408: "use smaller batches, or allow the server more time",
    413: "use smaller batches",
    422: "check the shape and the datatype of the inputs and the name of the output",
    429: "lower per_second or n_connections, or raise n_tries",
    504: "use smaller batches, or allow the server more time",
}


@dataclass(frozen=True)
class Credentials:
    """Headers whose values are secret, and what of them must not be seen.

    Attributes:
        variables: The environment variables that they come from.
        headers: The values by header.
    """

    variables: tuple[str, ...]
    headers: dict[str, str] = field(repr=False)

    def hidden(self, text: str) -> str:
        """Return text with every secret, and all longer pieces of one, replaced by asterisks."""
        secret = bytearray(len(text))
        lower = [c.lower() if len(c.lower()) == 1 else c for c in text]
        joined = "".join(lower)
        for form in self._forms():
            width = min(_RUN, len(form))
            pieces = {form[i : i + width] for i in range(len(form) - width + 1)}
            for i in range(len(joined) - width + 1):
                if joined[i : i + width] in pieces:
                    secret[i : i + width] = b"\1" * width
        shown = (("***" if i == 0 or not secret[i - 1] else "") if secret[i] else c for i, c in enumerate(text))
        return "".join(shown)

    def cure(self) -> str:
        """Return what to do if they are not accepted."""
        names = " and ".join(dict.fromkeys(filter(_may_be_shown, self.variables)))
        if names:
            return f"check the environment variable {names}"
        return f"check the variables of {', '.join(self.headers)}" if self.headers else "add what it demands to headers"

    def _forms(self) -> set[str]:
        """Every value and every word in one, in each of the ways that it is written in, in lower case."""
        words = {w for value in self.headers.values() for w in (value, *value.split()) if w.lower() not in _SCHEMES}
        words |= {part for word in words for part in _unpacked(word)}
        return {form.lower() for word in words for form in _written(word)}


def _unpacked(word: str) -> set[str]:
    """User and password in the word of a Basic header, and whatever else base64 hides in a word."""
    with suppress(ValueError):
        told = base64.b64decode(word + "=" * (-len(word) % 4), altchars=b"-_", validate=True).decode()
        if told.isprintable() and len(told) >= _FEWEST:
            return {told, *(part for part in told.split(":") if len(part) >= _FEWEST)}
    return set()


def _written(word: str) -> Iterator[str]:
    """A word as it is, and as JSON, URLs, hexadecimal numbers and base64 write it."""
    content = word.encode()
    percent = "".join(f"%{byte:02x}" for byte in content)
    yield from (word, json.dumps(word)[1:-1], quote(word, safe=""), quote_plus(word), word[::-1], percent)
    if len(content) < _FEWEST:  # too short to be told from other text
        return
    yield from (content.hex(), content.hex(":"), content.hex(" "))
    for before in range(3):  # where it begins in a longer text decides which letters stand for it
        packed = base64.b64encode(b"\0" * before + content).decode().rstrip("=")
        whole = packed[-(-8 * before // 6) : len(packed) - (1 if 8 * (before + len(content)) % 6 else 0)]
        yield from (whole, whole.translate(str.maketrans("+/", "-_")))


def _may_be_shown(variable: str) -> bool:
    """Whether a name looks like one: a secret that was given in place of a name would be repeated."""
    return variable == variable.upper() and len(variable) <= 60


def credentials_of(headers: Mapping[str, str]) -> Credentials:
    """Return the headers with the values of the environment variables that they name.

    Raises:
        InputError: A variable is missing or holds what no header can.
    """
    values = {}
    for header, variable in headers.items():
        value = os.environ.get(variable, "").strip()
        named = f"variable {variable}" if _may_be_shown(variable) else "variable"
        refuse_if(
            (not value, f"Expected the environment {named} for the header {header}, found none; set it."),
            (
                not (value.isascii() and value.isprintable()),
                f"Expected one line of ASCII in the environment {named} for the header {header}, found other "
                "characters; set it again.",
            ),
        )
        values[header] = value
    return Credentials(tuple(headers.values()), values)


class Reply(NamedTuple):
    """What a server answered, and how many tries before gave no answer."""

    document: Any
    n_failed: int


@dataclass(frozen=True, kw_only=True)
class _Failure:
    """Why a try gave no answer, what to do about it, and whether another may."""

    found: str
    cure: str
    may_pass: bool
    asked_wait: float = 0.0
    status: int = 0
    is_sent: bool = True


class Sender:
    """Sends requests with secret headers, from any number of threads.

    Certificates are always verified, redirects never followed: they would take the headers elsewhere.

    Args:
        url: Of the host, which decides the proxy.
        credentials: Headers that are sent with every request.
        limits: What the server is asked to bear.

    Raises:
        InputError: The certificates that SSL_CERT_FILE names cannot be read, or a proxy that is set is none.
    """

    def __init__(self, url: str, credentials: Credentials, limits: "Limits") -> None:
        self.credentials, self._limits, self._url, self._pace = credentials, limits, url, _Pace(limits.per_second)
        self._connect()
        given = {header.lower() for header in credentials.headers}
        self._headers = {header: value for header, value in _HEADERS.items() if header.lower() not in given}
        self._timeouts = {"timeout": dict.fromkeys(("connect", "read", "write"), limits.timeout) | {"pool": None}}

    def _connect(self) -> None:
        # One connection each: a common pool looks after all of them at every request.
        connections = _connections(self._url, self._limits.n_connections)
        self._free: SimpleQueue[httpx.HTTPTransport] = SimpleQueue()
        for connection in connections:
            self._free.put(connection)
            weakref.finalize(self, connection.close)
        self._process = os.getpid()

    def send(
        self, url: str, body: bytes | None, stop: Event, allowance: Allowance | None = None, n_queries: int = 0
    ) -> Reply:
        """Post a body, or get what is at a URL without one, until it is answered.

        Args:
            url: Where to.
            body: JSON.
            stop: Once it is set, nothing is tried again.
            allowance: What every try takes its queries of.
            n_queries: How many those are.

        Returns:
            The answer; one without a document if there is nothing to get there (405, 501).

        Raises:
            TargetError: There is no answer, for good.
            BudgetError: There is no budget for another try.
        """
        for n_tries in range(1, self._limits.n_tries + 1):
            result = self._try(url, body, stop, allowance, n_queries)
            if not (isinstance(result, _Failure) and result.may_pass) or n_tries == self._limits.n_tries:
                break
            # Twice as long after every other try, and never alike, lest all come back at once.
            wait = min(_FIRST_WAIT * 2.0 ** (n_tries - 1), _LONGEST_WAIT) + random.uniform(0.0, _FIRST_WAIT)
            if stop.wait(max(wait, result.asked_wait)):
                break
        if not isinstance(result, _Failure):
            return Reply(result[0], n_tries - 1)
        if body is None and result.status in (405, 501):
            return Reply(None, n_tries - 1)
        tries = "" if n_tries == 1 else f" in the last of {n_tries} tries"
        raise TargetError(
            self.credentials.hidden(f"Expected an answer from {url}, found {result.found}{tries}; {result.cure}.")
        )

    def _try(
        self, url: str, body: bytes | None, stop: Event, allowance: Allowance | None, n_queries: int
    ) -> tuple[Any] | _Failure:
        self._pace.wait(stop)
        if stop.is_set():
            return _Failure(found="none yet", cure="ask again", may_pass=False)
        if self._process != os.getpid():  # on connections that a fork shares, one process reads the other's answers
            self._connect()
        connection = self._free.get()  # before the clock: two passes share them, and no server is late for that
        try:
            if allowance is not None:  # last of all, and with the operating system before the first byte is sent
                allowance.take(n_queries)
            response, content = self._exchanged(connection, url, body)
        finally:
            self._free.put(connection)
        result = response if isinstance(response, _Failure) else self._read(response, content)
        never_computed = isinstance(result, _Failure) and (not result.is_sent or result.status in _BEFORE_THE_MODEL)
        if allowance is not None and never_computed:
            allowance.give_back(n_queries)
        return result

    def _exchanged(
        self, connection: httpx.HTTPTransport, url: str, body: bytes | None
    ) -> tuple[httpx.Response | _Failure, bytes]:
        end = time.monotonic() + self._limits.timeout
        try:
            # By the transport itself: what a client adds to it, such as cookies, is not wanted and costs as much again.
            request = httpx.Request(
                "GET" if body is None else "POST",
                _parsed_url(url),
                headers=self._headers | self.credentials.headers,
                content=body,
                extensions=self._timeouts,
            )
            with closing(connection.handle_request(request)) as response:
                return response, b"".join(_chunks(response, end))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return self._unsent(error), b""

    def _unsent(self, error: Exception) -> _Failure:
        """Why there is no response: what httpx raised holds the request, and so the headers, and goes no further."""
        causes, words = _causes(error), self._quoted(str(error))
        unverified = [c.verify_message for c in causes if isinstance(c, ssl.SSLCertVerificationError)]
        never_sent = httpx.InvalidURL | httpx.UnsupportedProtocol | httpx.LocalProtocolError
        problems = (  # whether it is this one, what was found, the cure, whether it may pass, and whether it was sent
            (
                isinstance(error, httpx.TimeoutException),
                f"none within {self._limits.timeout:g} s",
                "raise timeout or use smaller batches",
                *(True, not isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout)),
            ),
            (
                bool(unverified),
                f"a certificate that does not verify ({brief(''.join(unverified[:1]), _QUOTED)})",
                "let SSL_CERT_FILE name a file with the certificate if you trust it; it is never left unverified",
                *(False, False),
            ),
            (
                any(isinstance(c, ssl.SSLError) and not isinstance(c, ssl.SSLEOFError) for c in causes),
                f"no TLS ({words})",
                "check that the server speaks https at that port",
                *(False, True),
            ),
            (
                any(isinstance(cause, ConnectionRefusedError) for cause in causes),
                "no connection (refused)",
                "check that the server runs and listens on that port",
                *(True, False),
            ),
            (
                isinstance(error, httpx.ConnectError),
                f"no connection ({words})",
                "check the name of the host in the URL",
                *(True, False),
            ),
            (
                isinstance(error, never_sent),
                f"no request that can be sent ({words})",
                "check the URL and the headers",
                *(False, False),
            ),
            (True, f"a broken connection ({words})", "see the server's log", True, True),
        )
        _, found, cure, may_pass, is_sent = next(problem for problem in problems if problem[0])
        return _Failure(found=found, cure=cure, may_pass=may_pass, is_sent=is_sent)

    def _read(self, response: httpx.Response, content: bytes) -> tuple[Any] | _Failure:
        status = response.status_code
        if response.is_success:
            return self._parsed(response, content)
        if status in range(300, 400):
            cure = "give the URL of the model itself; none is followed, because it would take the headers elsewhere"
            return _Failure(
                found=f"status {status}, a redirect to {self._target(response)}",
                cure=cure,
                may_pass=False,
                status=status,
            )
        cure = _CURES.get(status, "see the server's log")
        if status in (401, 403):
            cure = self.credentials.cure()
        words = self._quoted(_message(content))
        wait = _seconds(response.headers.get("Retry-After", ""))
        return _Failure(
            found=f"status {status}" + (f" ({words})" if words else ""),
            cure=cure,
            may_pass=status in _AGAIN,
            asked_wait=wait,
            status=status,
        )

    def _parsed(self, response: httpx.Response, content: bytes) -> tuple[Any] | _Failure:
        with suppress(ValueError):
            return (orjson.loads(content),)
        try:
            return (json.loads(content),)  # takes NaN too, as servers in Python write it
        except (ValueError, RecursionError):
            kind = self._quoted(response.headers.get("Content-Type", "no type"))
        return _Failure(
            found=f"{len(content):,} bytes that are no JSON ({kind})",
            cure="see the server's log and what stands before it",
            may_pass=True,
        )

    def _target(self, response: httpx.Response) -> str:
        """Where a redirect leads, without a query, which may hold a secret."""
        try:
            parts = urlsplit(response.headers.get("Location", ""))
        except ValueError:
            return "nowhere"
        where = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
        return self._quoted(where) or "nowhere"

    def _quoted(self, words: str) -> str:
        """Words of others on one line: hidden before they are cut, lest the beginning of a secret is left."""
        hidden = self.credentials.hidden(words)
        return brief(" ".join("".join(c if c.isprintable() else " " for c in hidden).split()), _QUOTED)


def _connections(url: str, n_connections: int) -> list[httpx.HTTPTransport]:
    """Connections to a host, through the proxy that the environment names for it."""
    proxy, one = _proxy_of(url), httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=_KEPT)
    with suppress(OSError, ValueError, httpx.InvalidURL, ImportError):  # a SOCKS proxy needs a package of its own
        trusted = httpx.create_ssl_context()
        return [httpx.HTTPTransport(verify=trusted, limits=one, proxy=proxy) for _ in range(n_connections)]
    raise InputError(
        "Expected certificates that can be read and a proxy's URL in the environment, found others; check "
        "SSL_CERT_FILE, SSL_CERT_DIR, HTTP_PROXY, HTTPS_PROXY and ALL_PROXY."
    )


def _proxy_of(url: str) -> str | None:
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.netloc) or proxy_bypass(parts.hostname or ""):  # ::1 is meant without brackets
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


class _Pace:
    """Lets no more than a number of requests per second go, of all threads together."""

    def __init__(self, per_second: float | None) -> None:
        self._interval, self._next, self._lock = 1 / per_second if per_second else 0.0, 0.0, Lock()

    def wait(self, stop: Event) -> None:
        if not self._interval:
            return
        with self._lock:
            now = time.monotonic()
            mine = max(now, self._next)
            self._next = mine + self._interval
        if mine > now:
            stop.wait(mine - now)


_parsed_url = lru_cache(maxsize=64)(httpx.URL)


def _chunks(response: httpx.Response, end: float) -> Iterator[bytes]:
    """The body; a server that sends a little now and then would not be late for httpx, but is."""
    for chunk in response.iter_bytes():
        yield chunk
        if time.monotonic() > end:
            raise httpx.ReadTimeout("")


def _causes(error: BaseException) -> list[BaseException]:
    causes = [error]
    while (before := causes[-1].__cause__ or causes[-1].__context__) is not None and before not in causes:
        causes.append(before)
    return causes


def _message(content: bytes) -> str:
    """A server's own words in the body of an error."""
    text = content[:_READ].decode("utf-8", "replace")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(document, dict):
        document = next((document[k] for k in ("error", "message", "detail") if document.get(k)), document)
    return document if isinstance(document, str) else json.dumps(document, ensure_ascii=False)


def _seconds(asked: str) -> float:
    """How long a server asks to wait by Retry-After, which is a number or a date; 0 if it is neither."""
    if asked.isascii() and asked.isdigit():
        return min(float(asked), _LONGEST_ASKED_FOR)
    try:
        date = parsedate_to_datetime(asked)
    except ValueError:
        return 0.0
    left = (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(left, 0.0), _LONGEST_ASKED_FOR)
