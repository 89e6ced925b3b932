"""`report.json`: the three answers, the results and what they stand on, under a versioned JSON Schema.

Its parts are the values of an `AuditResult` themselves; a model of its own has only what differs from them.
"""

import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from math import nan
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic_core import to_json

from vestige.core.curves import RocBand, ScoreHistogram
from vestige.core.errors import RunFolderError
from vestige.core.result import (
    RESULT_DTYPES,
    Adversary,
    AuditResult,
    Check,
    Finding,
    NotRun,
    Power,
    Provenance,
    Queries,
    RiskSummary,
    Spread,
    Status,
    ThreatModel,
    Validity,
)
from vestige.core.schema import Count, Number, Written
from vestige.report.files import replacing

SCHEMA_ID = "urn:vestige:report:1"

_MOST_GROUPS = 50  # of a column whose rows stand in the document
_ATTRIBUTE = re.compile(r"^    (\w+): (.+(?:\n {5,}.+)*)", re.MULTILINE)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ValidityPart(_Part):
    """Answer 1: whether the test can say anything about the model.

    Attributes:
        answer: The worst answer among the checks.
        checks: Every check that was made.
    """

    answer: Validity
    checks: tuple[Check, ...]


class _Row:
    """One number: attack x threshold x metric x group.

    Attributes:
        attack: An attack's name, or `worst`: the largest over all attacks, with simultaneous bounds.
        threshold: Where the operating point is from: `roc`, `shadow_*`, `known_half_*`, `natural`, `oracle`.
        metric: What was measured.
        group: `all`, `class=NAME`, `GROUP=VALUE`, `worst_class` or `worst_group`.
        unit: What n counts: `record` or `subject`.
        value: The number; null where it is undefined or suppressed.
        lower: Lower end of the 95 % interval; null where there is none.
        upper: Upper end of the 95 % interval; null where there is none.
        n_members: Members behind the number.
        n_nonmembers: Nonmembers behind the number.
        false_positives: Nonmembers called members at the operating point.
        status: Whether the row may be used.
        definition: How the number is defined, and what it would need.
        target: The audited model.
        defence: The defence in front of it.
        access: What the attack may ask of the target.
        n_queries: Queries the attack spent.
        n_references: Models trained on the audited records.
    """


_KINDS: Mapping[str, Any] = {"str": str, "float64": Number, "Int64": Count | None}


def _part(name: str, words: str | None, kinds: Mapping[str, Any]) -> Any:
    """A part of the document with these fields, all of which stand in it."""
    fields: Any = {field: (kind, ...) for field, kind in kinds.items()}
    return create_model(name, __base__=_Part, __doc__=words, **fields)


def _part_of(value: type, *left_out: str, **more: Any) -> Any:
    """The part that a value of `core.result` becomes."""
    kinds = get_type_hints(value, include_extras=True) | more
    kept = {name: kind for name, kind in kinds.items() if name not in left_out}
    return _part(f"{value.__name__}Part", value.__doc__, kept)


ResultRow = _part(
    "ResultRow", _Row.__doc__, {name: _KINDS[kind] for name, kind in RESULT_DTYPES.items()} | {"status": Status}
)
QueriesPart = _part_of(Queries, cost=Number)
ProvenancePart = _part_of(Provenance, "attacks", "likelihood_ratio", "defence")  # no place of a custom attack


class ReportDocument(_Part):
    """A membership-inference audit of one trained classifier.

    Three answers that are never merged into one (`validity`, `adversary`, `finding`), the numbers behind them and
    what they stand on. Rates are fractions. It holds no record, id, input or path.

    Attributes:
        schema_version: Version of this document's schema.
        validity: Answer 1.
        adversary: Answer 2.
        threat_models: The adversary attack by attack.
        queries: What was asked; null where predictions were given.
        finding: Answer 3.
        results: The rows of `results.parquet`; of a column with more groups those of the 50 with the largest areas.
        groups_left_out: By column, groups whose rows are in `results.parquet` alone; empty where all are here.
        rocs: A ROC per attack.
        spread: The same over training runs; empty without reference models.
        power: Label-only attacks with fewer queries; empty where none was played.
        risk: The privacy risk score; null where the class probabilities are not known.
        not_run: Attacks left out.
        provenance: What the numbers stand on.
        histograms: The scores of every attack in bins.
    """

    schema_version: Literal["1.4"] = "1.4"
    validity: ValidityPart
    adversary: Adversary
    threat_models: tuple[ThreatModel, ...]
    queries: Annotated[Any, Written(QueriesPart | None)]
    finding: Finding
    results: Annotated[tuple[Any, ...], Written(tuple[ResultRow, ...])]
    groups_left_out: Mapping[str, Count]
    rocs: tuple[RocBand, ...]
    spread: tuple[Spread, ...]
    power: tuple[Power, ...]
    risk: RiskSummary | None
    not_run: tuple[NotRun, ...]
    provenance: Annotated[Any, Written(ProvenancePart)]
    histograms: tuple[ScoreHistogram, ...]


def to_document(result: AuditResult) -> ReportDocument:
    """Turn an audit's result into the document that is written to `report.json`.

    Args:
        result: What an audit found. Its table of records is not looked at.

    Returns:
        The document: the same values, with null for NaN.

    Raises:
        pydantic.ValidationError: A value is not of the type the schema gives it.
    """
    results, left_out = _largest_groups(result.results[list(RESULT_DTYPES)])
    queries, provenance = result.queries, asdict(result.provenance)
    said = {name: getattr(result, name) for name in ReportDocument.model_fields if hasattr(result, name)} | {
        "validity": {"answer": result.validity, "checks": result.preflight.checks},
        "queries": None if queries is None else asdict(queries) | {"cost": queries.cost},
        "results": results.astype(object).where(results.notna(), None).to_dict("records"),
        "groups_left_out": left_out,
        "provenance": {name: provenance[name] for name in ProvenancePart.model_fields},
    }
    return ReportDocument.model_validate_json(to_json(said, inf_nan_mode="null"))


def read_document(text: bytes, place: str) -> ReportDocument:
    """Read a document, of this version or an earlier one; its nulls are NaN again where a number is meant.

    Args:
        text: What `write_json` wrote.
        place: Where it is from, for errors.

    Raises:
        RunFolderError: It is of a newer version, or no such document.
    """
    try:
        found = json.loads(text)
        major, minor = (int(part) for part in found["schema_version"].split("."))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise RunFolderError(f"Expected a report of Vestige in {place}, found something else; audit again.") from None
    current = ReportDocument.model_fields["schema_version"].default
    if (major, minor) > tuple(int(part) for part in current.split(".")):
        raise RunFolderError(
            f"Expected a report of schema {current} or earlier in {place}, found {major}.{minor}; open it with the "
            "newer Vestige that wrote it."
        )
    try:
        _fill_in(found)
        document: ReportDocument = _with_nan(ReportDocument.model_validate_json(json.dumps(found)))
        return document
    except ValidationError as error:
        first = error.errors()[0]
        what = f"{first['msg']} at {'.'.join(map(str, first['loc']))}"
    except (KeyError, TypeError, AttributeError) as error:
        what = f"{type(error).__name__} {error}"
    raise RunFolderError(f"Expected a report of schema {major}.{minor} in {place}, found {what}; audit again.")


def _fill_in(document: dict[str, Any]) -> None:
    """Give a document of an earlier version what it had not: nothing of the kind."""
    document["schema_version"] = ReportDocument.model_fields["schema_version"].default
    lists = ("threat_models", "spread", "power", "histograms")
    empty: dict[str, Any] = {"queries": None, "groups_left_out": {}, **{name: [] for name in lists}}
    for name, nothing in empty.items():
        document.setdefault(name, nothing)
    document["adversary"].setdefault("n_references", 0)
    document["provenance"] = {"reference_digest": "", "n_records": 0, "n_left_out": 0, "learnt": []} | document[
        "provenance"
    ]
    if document["queries"] is not None:
        document["queries"].setdefault("n_unanswered", 0)
    for row in document["results"]:
        for name, kind in RESULT_DTYPES.items():
            row.setdefault(name, "" if kind == "str" else None)


def _with_nan(value: Any) -> Any:
    """A part of a document with NaN for null wherever its type is a number."""
    if isinstance(value, tuple):
        return tuple(map(_with_nan, value))
    if isinstance(value, BaseModel):
        return value.model_copy(update={name: _with_nan(getattr(value, name)) for name in type(value).model_fields})
    if not is_dataclass(value) or isinstance(value, type):
        return value
    kinds = get_type_hints(type(value), include_extras=True)
    return replace(
        value, **{field.name: _number(getattr(value, field.name), kinds[field.name]) for field in fields(value)}
    )


def _number(value: Any, kind: Any) -> Any:
    if kind == Number:
        return nan if value is None else value
    if get_args(kind)[:1] == (Number,):
        return tuple(nan if one is None else one for one in value)
    return _with_nan(value)


def write_json(result: AuditResult, folder: Path) -> None:
    """Write `report.json`.

    Args:
        result: What an audit found.
        folder: Where to write; it exists.

    Raises:
        OutputError: The folder cannot be written.
    """
    text = to_document(result).model_dump_json()
    with replacing(folder / "report.json") as file:
        file.write(text.encode())
        file.write(b"\n")


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of `report.json`, as committed in `schema/report-1.schema.json`.

    Example:
        >>> json_schema()["properties"]["schema_version"]["const"]
        '1.4'
    """
    schema = ReportDocument.model_json_schema(mode="serialization")
    for name, part in (("ReportDocument", schema), *schema["$defs"].items()):
        words, _, attributes = inspect.cleandoc(str(globals().get(name, "").__doc__)).partition("\n\nAttributes:\n")
        for attribute, text in _ATTRIBUTE.findall(attributes):
            part["description"] = words
            if attribute in part["properties"]:
                text = re.sub(r"\b(NaN|None)\b", "null", " ".join(text.split()))
                part["properties"][attribute]["description"] = text
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **schema}


def schema_text() -> str:
    """Return the committed form of the schema: `python -m vestige.report.document` prints it."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _largest_groups(results: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Rows without those of all but the groups of each column whose area is largest: there may be thousands."""
    of_groups = results[results["group"].str.contains("=", regex=False)]
    if of_groups["group"].nunique() <= _MOST_GROUPS:
        return results, {}
    areas = of_groups[of_groups["metric"] == "auc"].groupby("group", sort=False)["value"].max()
    areas = areas.fillna(-1.0)  # hidden ones, of which there are few, come last
    columns = areas.index.to_series().str.partition("=")[0]
    place = areas.groupby(columns.to_numpy(), sort=False).rank(method="first", ascending=False)
    beyond = place.index[place > _MOST_GROUPS]
    left_out = columns.loc[beyond].value_counts(sort=False)
    counts = {str(column): int(n) for column, n in left_out.items()}
    return results[~results["group"].isin(beyond)], counts


if __name__ == "__main__":
    print(schema_text(), end="")
