"""The Open Inference Protocol, version 2, with tensors as JSON: addresses, requests and answers, without a network."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import numpy as np

from vestige.core.errors import InputError, TargetError, refuse_if
from vestige.core.messages import brief, few
from vestige.core.sparse import dense

DTYPES = {
    "BOOL": np.dtype(np.bool_),
    **{f"UINT{bits}": np.dtype(f"uint{bits}") for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": np.dtype(f"int{bits}") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"float{bits}") for bits in (16, 32, 64)},
    "BYTES": np.dtype(object),
}
"""Dtypes by datatype of the protocol; text is BYTES."""

_DATATYPES = {dtype: name for name, dtype in DTYPES.items() if name != "BYTES"}
_INPUT = "input-0"  # as MLServer calls what has no name
_FORM = "http://HOST:PORT/v2/models/NAME, or with /versions/VERSION behind it"
OTHER_WAYS = (
    'for any other JSON service say what is sent and read, send = {"instances" = "$inputs"} and read = "predictions" '
    "in [endpoint] (Endpoint(url, send=..., read=...)), or give a function that asks it"
)
"""The cure where a service does not speak the protocol."""
_PATH = re.compile(r"(?P<model>.*/v2/models/(?P<name>[^/]+)(/versions/(?P<version>[^/]+))?)(/infer)?/?")


@dataclass(frozen=True)
class Address:
    """Where a model is.

    Attributes:
        url: Of the model itself; that for queries ends in `/infer`.
        model: Its name.
        version: The version that is asked for; empty if any.
    """

    url: str
    model: str
    version: str = ""


def address_of(url: str) -> Address:
    """Return the address that a URL is, with or without `/infer`.

    Raises:
        InputError: It is no URL of a model, or holds what may be a secret, which the message does not repeat.

    Example:
        >>> address_of("http://Localhost:8080/v2/models/cancer/versions/3/infer")
        Address(url='http://localhost:8080/v2/models/cancer/versions/3', model='cancer', version='3')
    """
    parts = checked(url, _FORM)
    path = _PATH.fullmatch(parts.path)
    if path is None:
        raise InputError(f"Expected a URL such as {_FORM}, found {url!r}; {OTHER_WAYS}.")
    where = f"{parts.scheme}://{parts.netloc.lower()}{path['model']}"
    return Address(where, unquote(path["name"]), unquote(path["version"] or ""))


def checked(url: str, form: str) -> SplitResult:
    """Return the parts of a URL that can be asked.

    Raises:
        InputError: It is no URL, or holds what may be a secret, which the message does not repeat.
    """
    refuse_if(
        (
            "@" in url or "?" in url or "#" in url,
            "Expected a URL without user, password, query or fragment, found one with a '@', '?' or '#'; put secrets "
            "into environment variables and name these in headers.",
        ),
        (
            not url.isprintable() or " " in url or not url.startswith(("http://", "https://")),
            f"Expected a URL such as {form}, found {brief(url)!r}.",
        ),
    )
    parts = urlsplit(url)
    if not re.fullmatch(r"([^:\[\]]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?", parts.netloc):
        raise InputError(f"Expected a URL such as {form}, found one whose host or port is none.")
    return parts


@dataclass(frozen=True)
class Tensor:
    """What a model says of one of its inputs or outputs; `shape` is empty if it does not say."""

    name: str
    datatype: str = ""
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class Metadata:
    """What a model says of itself, which may be nothing."""

    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()


def metadata_of(document: Any) -> Metadata:
    """Return the metadata in a server's answer; what is not as in the protocol is left out."""
    if not isinstance(document, dict):
        return Metadata()
    return Metadata(_tensors(document.get("inputs")), _tensors(document.get("outputs")))


def _tensors(entries: Any) -> tuple[Tensor, ...]:
    tensors = [t for t in entries if isinstance(t, dict) and t.get("name")] if isinstance(entries, list) else []
    return tuple(Tensor(str(t["name"]), str(t.get("datatype") or ""), _shape(t.get("shape")) or ()) for t in tensors)


def _shape(sizes: Any) -> tuple[int, ...] | None:
    is_shape = isinstance(sizes, list) and all(type(size) is int for size in sizes)
    return tuple(sizes) if is_shape else None


# ------------------------------------------------------------------------------------ requests


def body_of(
    inputs: Any, metadata: Metadata, datatype: str | None = None, output: str | None = None, *, first: int = 0
) -> bytes:
    """Return the body of a request.

    An array is one tensor; of a DataFrame every column is one, named after it. NaN and missing entries become null.

    Args:
        inputs: Of one or more records.
        metadata: Names and datatypes of the model's inputs, as far as it says them.
        datatype: What numbers are sent as instead, whatever the model says.
        output: The output that is asked for; the model's own choice if omitted.
        first: Number of the first of these records, for messages.

    Raises:
        InputError: The model has other inputs, or the values cannot be sent as its datatypes.
    """
    named = {tensor.name: tensor for tensor in metadata.inputs}
    body: dict[str, Any] = {}
    if hasattr(inputs, "columns"):
        _refuse_other_columns([str(name) for name in inputs.columns], named)
        body["parameters"] = {"content_type": "pd"}  # tells MLServer to put the columns together again
        body["inputs"] = [
            _tensor(column_of(inputs.iloc[:, i]), named.get(str(name), Tensor(str(name))), datatype, first, (-1, 1))
            for i, name in enumerate(inputs.columns)
        ]
    else:
        if len(named) > 1:
            raise InputError(
                f"Expected a DataFrame with the columns {few(list(named))}, the inputs of the model, found an array; "
                "give the records so."
            )
        tensor = next(iter(named.values()), Tensor(_INPUT))
        body["inputs"] = [_tensor(np.asarray(dense(inputs)), tensor, datatype, first, tensor.shape)]
    if output is not None:
        body["outputs"] = [{"name": output}]
    return encoded(body)


def encoded(body: Any) -> bytes:
    """Return JSON, by orjson if it is there: a dozen times as fast; the standard library holds all connections up."""
    try:
        import orjson

        return bytes(orjson.dumps(body))
    except (ModuleNotFoundError, TypeError):  # or half a pair of UTF-16 in damaged text, which orjson does not write
        return json.dumps(body, separators=(",", ":"), allow_nan=False).encode()


def _refuse_other_columns(columns: Sequence[str], named: dict[str, Tensor]) -> None:
    missing = [name for name in named if name not in columns]
    unknown = [name for name in columns if name not in named] if named else []
    if missing or unknown:
        cure = "give an array if it takes all columns as one" if len(named) == 1 else "name the columns so"
        raise InputError(
            f"Expected the columns {few(list(named))}, the inputs of the model, found {few(list(columns))}; {cure}."
        )


def column_of(values: Any) -> np.ndarray:
    """Return a column as bool, int64, uint64, float64 or objects; missing entries are NaN or None."""
    missing = np.asarray(values.isna())
    if hasattr(values, "cat"):
        categories = values.cat.categories.dtype
        values = values.astype(np.float64 if missing.any() and categories.kind in "iuf" else categories)
    kind = getattr(values.dtype, "kind", "O")
    if kind in "Mm":
        raise InputError(
            f"Expected numbers or text as inputs, found {values.dtype} in column {values.name!r}; convert it first."
        )
    if kind in "biuf":
        whole = {"b": np.bool_, "i": np.int64, "u": np.uint64 if values.dtype == np.uint64 else np.int64}
        dtype = np.float64 if kind == "f" or missing.any() else whole[kind]
        return np.asarray(values.to_numpy(dtype=dtype, **({"na_value": np.nan} if missing.any() else {})))
    objects = np.array(values, dtype=object)
    objects[missing] = None
    return objects


def _tensor(values: np.ndarray, tensor: Tensor, datatype: str | None, first: int, shape: Sequence[int]) -> Any:
    """One input of a request; `shape` is what the model says, whose last axis may be one that arrays do without."""
    if values.dtype.kind in "OUS":
        chosen, data = "BYTES", texts_of(values, tensor, first)
    else:
        chosen = datatype or tensor.datatype or _DATATYPES.get(values.dtype.newbyteorder("="), "")
        data = _numbers(values, chosen, tensor, first)
    one_more = [1] if len(shape) == values.ndim + 1 and shape[-1] in (1, -1) else []
    entry = {"name": tensor.name, "shape": [*values.shape, *one_more], "datatype": chosen, "data": data}
    return entry | ({"parameters": {"content_type": "str"}} if chosen == "BYTES" else {})


def texts_of(values: np.ndarray, tensor: Tensor, first: int) -> list[str | None]:
    """Return texts in one list, missing ones as None."""
    if tensor.datatype not in ("", "BYTES"):
        raise InputError(
            f"Expected {tensor.datatype} as the input {brief(tensor.name)!r} of the model, found text; encode it as "
            "numbers first."
        )
    data = [v.decode() if isinstance(v, bytes) else v for v in values.ravel().tolist()]
    wrong = next((i for i, value in enumerate(data) if not isinstance(value, str | None)), None)
    if wrong is not None:
        raise InputError(
            f"Expected text as the input {brief(tensor.name)!r}, found {type(data[wrong]).__name__} in record "
            f"{first + wrong * len(values) // len(data) + 1:,}; make it all text or all numbers."
        )
    return data


def _numbers(values: np.ndarray, datatype: str, tensor: Tensor, first: int) -> list[Any]:
    dtype = DTYPES.get(datatype, DTYPES["BYTES"])
    refuse_if(
        (
            not datatype,
            f"Expected numbers or text as the input {brief(tensor.name)!r}, found {values.dtype}; convert it first.",
        ),
        (
            dtype.kind == "O",
            f"Expected inputs that JSON can hold as {brief(datatype)!r}, the datatype of {brief(tensor.name)!r}, found "
            f"{values.dtype}; name another datatype, one of {few(list(_DATATYPES.values()), 20)}, or give text.",
        ),
    )
    if dtype.kind == "f":
        return fractions_of(values.astype(np.float64, copy=False), tensor, first)
    with np.errstate(invalid="ignore"):
        whole = values.astype(dtype)
    wrong = whole != values
    if wrong.any():
        where = tuple(np.argwhere(wrong)[0].tolist())
        raise InputError(
            f"Expected numbers that {datatype} can hold as the input {brief(tensor.name)!r}, found {values[where]} in "
            f"record {first + where[0] + 1:,}; convert the inputs or name another datatype."
        )
    return list(whole.ravel().tolist())


def fractions_of(values: np.ndarray, tensor: Tensor, first: int) -> list[float | None]:
    """Return fractions in one list, NaN as None."""
    infinite = np.isinf(values).reshape(len(values), -1).any(axis=1)
    if infinite.any():
        raise InputError(
            f"Expected finite numbers as the input {brief(tensor.name)!r}, found infinity in record "
            f"{first + int(np.argmax(infinite)) + 1:,}, which JSON cannot hold; replace it."
        )
    data: list[float | None] = values.ravel().tolist()
    return [None if value != value else value for value in data] if np.isnan(values).any() else data


@dataclass(frozen=True)
class OpenInference:
    """How a model is asked in the protocol.

    Attributes:
        address: Of the model.
        metadata: What it says of itself.
        datatype: What numbers are sent as instead.
        output: The output that is asked for.
    """

    address: Address
    metadata: Metadata
    datatype: str | None
    output: str | None

    @property
    def url(self) -> str:
        """Where queries are posted to."""
        return f"{self.address.url}/infer"

    def body(self, inputs: Any, first: int) -> bytes:
        """Return the body of a request; see `body_of`."""
        return body_of(inputs, self.metadata, self.datatype, self.output, first=first)

    def response(self, document: Any, n_records: int) -> "Response":
        """Return the answers of a response; see `response_of`."""
        return response_of(document, self.address, n_records, self.output)


# ------------------------------------------------------------------------------------- answers


@dataclass(frozen=True, kw_only=True, eq=False)
class Response:
    """What a model answered.

    Attributes:
        values: One row per record, as float64, whole numbers, bool or text.
        output: Name of the output.
        datatype: What the model gave it as.
        version: Of the model; empty if it does not say.
        columns: The classes in the order of the columns, if it names them.
    """

    values: np.ndarray
    output: str
    datatype: str
    version: str
    columns: tuple[Any, ...] | None = None


def response_of(document: Any, address: Address, n_records: int, output: str | None = None) -> Response:
    """Return the answers in the body of a response.

    Args:
        document: The body.
        address: Which model was asked.
        n_records: About how many records.
        output: Which output; the only one if omitted.

    Raises:
        TargetError: It is no response of that model, has no such output, or not one row per record.
    """
    if not isinstance(document, dict) or not isinstance(document.get("outputs"), list):
        raise TargetError(
            "Expected an object with outputs, as the Open Inference Protocol has it, found other JSON; give the URL of "
            f"a model, {_FORM}; {OTHER_WAYS}."
        )
    name, version = document.get("model_name"), str(document.get("model_version") or "")
    refuse_if(
        (
            name is not None and name != address.model,
            f"Expected answers of the model {brief(address.model)!r}, found those of {brief(str(name))!r}; check the "
            "URL, and what stands between you and the model.",
        ),
        (
            address.version and version and version != address.version,
            f"Expected answers of version {brief(address.version)!r} of the model, found those of {brief(version)!r}; "
            "check the URL.",
        ),
        kind=TargetError,
    )
    chosen = _chosen([o for o in document["outputs"] if isinstance(o, dict)], output)
    return Response(
        values=_values(chosen, n_records),
        output=str(chosen.get("name")),
        datatype=str(chosen.get("datatype")),
        version=version,
    )


def check_output(metadata: Metadata, output: str | None) -> None:
    """Refuse a model of several outputs none of which was named.

    Raises:
        InputError: It is such a model.
    """
    if output is None and len(metadata.outputs) > 1:
        names = few([tensor.name for tensor in metadata.outputs])
        raise InputError(f"Expected the name of one of the outputs {names}, found none; name it as output.")


def _chosen(outputs: list[dict[str, Any]], output: str | None) -> dict[str, Any]:
    chosen = [o for o in outputs if output is None or o.get("name") == output]
    if len(chosen) != 1:
        names = few([str(o.get("name")) for o in outputs]) or "none"
        wanted = "one output" if output is None else f"the output {brief(output)!r}"
        raise TargetError(f"Expected {wanted} from the model, found {names}; name one of the model's as output.")
    return chosen[0]


def _values(output: dict[str, Any], n_records: int) -> np.ndarray:
    name, datatype, shape = brief(str(output.get("name"))), output.get("datatype"), _shape(output.get("shape"))
    if datatype not in DTYPES:
        raise TargetError(
            f"Expected an output of a datatype such as FP32, found {brief(str(datatype))!r} for {name!r}; ask for "
            "another output."
        )
    array = _array(output.get("data"), str(datatype))
    if shape is None or array is None or array.size != np.prod(shape, dtype=np.int64) or min(shape, default=0) < 0:
        raise TargetError(
            f"Expected {datatype} data of the shape that is said, {brief(str(output.get('shape')))}, found other data "
            f"for the output {name!r}; the server should answer with tensors as JSON."
        )
    if not shape or shape[0] != n_records:
        raise TargetError(
            f"Expected {n_records:,} rows in the output {name!r}, one per record, found shape {list(shape)}; the model "
            "should answer for every record of a request."
        )
    return array.reshape(shape)


def _array(data: Any, datatype: str) -> np.ndarray | None:
    """Data, flat or nested, as an array; None if it is not of this datatype. Servers write NaN as null too."""
    if not isinstance(data, list):
        return None
    dtype = DTYPES[datatype]
    try:
        array = np.array(data, dtype=np.float64 if dtype.kind == "f" else None)
    except (TypeError, ValueError, OverflowError):
        return None
    kinds = {"f": "f", "O": "U", "b": "b"}.get(dtype.kind, "iu")
    return array if array.dtype.kind in kinds or not array.size else None
