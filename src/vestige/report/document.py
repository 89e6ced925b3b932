"""`report.json`: the three answers, the results and what they stand on, under a versioned JSON Schema."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from vestige.core.result import RESULT_DTYPES, AuditResult, FindingState, Status, Validity
from vestige.report.files import replacing

SCHEMA_ID = "urn:vestige:report:1"


def _null_for_nan(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


Number = Annotated[float | None, BeforeValidator(_null_for_nan)]
"""JSON has no NaN: a number that is not known is null."""

Count = Annotated[int, Field(ge=0)]

_MOST_GROUPS = 50  # of a column whose rows stand in the document


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True, use_attribute_docstrings=True)


Part = TypeVar("Part", bound=_Part)


class CheckPart(_Part):
    """One preflight check."""

    name: str
    """What was checked."""
    validity: Validity
    """The worst answer this check alone allows."""
    message: str
    """What was seen, with its numbers."""
    remedy: str
    """What to do about it; empty where nothing is wrong."""


class ValidityPart(_Part):
    """Answer 1: whether the test can say anything about the model."""

    answer: Validity
    """The worst answer among the checks."""
    checks: tuple[CheckPart, ...]
    """Every check that was made."""


class AdversaryPart(_Part):
    """Answer 2: who was played."""

    access: str
    """What the target answers."""
    knowledge: str
    """What else the adversary has."""
    n_references: Count
    """Models trained on the audited records."""
    sentence: str
    """The same in words, with what was not tested."""


class ThreatModelPart(_Part):
    """What one attack sees and knows."""

    attack: str
    """Its name."""
    interface: str
    """What the model must answer: `label`, `loss`, `confidence` or `gradients`."""
    feature: str
    """The score, in one line."""
    knowledge: tuple[str, ...]
    """What else the adversary knows: `train`, `data`, `label`, `model`, `members`."""
    n_queries: Count
    """Queries about one record."""
    source: str
    """Paper."""


class QueriesPart(_Part):
    """What was asked of the model, over all attacks."""

    n_sent: Count
    """Queries that it answered."""
    n_kept: Count
    """Queries whose answer was there already."""
    n_failed: Count
    """Requests that gave no answer."""
    most_per_record: Count
    """The most queries about one record."""
    price: Number
    """Price of 1,000 queries; null where none was said."""
    cost: Number
    """Price of all that may have been answered."""
    n_unanswered: Count
    """Queries that it may have answered though no answer came."""


class FindingPart(_Part):
    """Answer 3: what the tested attacks showed. Null where nothing is resolvable."""

    state: FindingState
    """LEAK SHOWN, NO LEAK SHOWN ABOVE (`tpr_ub`), or UNDECIDED."""
    sentence: str
    """The finding in words."""
    fpr: Number
    """Headline false-positive rate: the lowest that n resolves [fraction]."""
    tpr: Number
    """Share of members recognised there by the worst attack [fraction]."""
    tpr_lb: Number
    """Its simultaneous lower bound over the attacks."""
    tpr_ub: Number
    """Its simultaneous upper bound over the attacks."""
    p_value: Number
    """Familywise permutation p-value over all attacks."""
    smallest_visible_tpr: Number
    """The smallest planted leak this audit sees in 4 of 5 cases, at the headline rate, wherever above its threshold."""
    n_needed: Count
    """Nonmembers (and members) that would decide it; 0 where it is decided."""


class ResultRow(_Part):
    """One number: attack x threshold x metric x group."""

    attack: str
    """An attack's name, or `worst`: the largest over all attacks, with simultaneous bounds."""
    threshold: str
    """Where the operating point is from: `roc`, `shadow_*`, `known_half_*`, `natural`, `oracle`."""
    metric: str
    """What was measured."""
    group: str
    """`all`, `class=NAME`, `GROUP=VALUE`, `worst_class` or `worst_group`."""
    unit: str
    """What n counts: `record` or `subject`."""
    value: Number
    """The number; null where it is undefined or suppressed."""
    lower: Number
    """Lower end of the 95 % interval; null where there is none."""
    upper: Number
    """Upper end of the 95 % interval; null where there is none."""
    n_members: Count | None
    """Members behind the number."""
    n_nonmembers: Count | None
    """Nonmembers behind the number."""
    false_positives: Count | None
    """Nonmembers called members at the operating point."""
    status: Status
    """Whether the row may be used."""
    definition: str
    """How the number is defined, and what it would need."""
    target: str
    """The audited model."""
    defence: str
    """The defence in front of it."""
    access: str
    """What the attack may ask of the target."""
    n_queries: Count | None
    """Queries the attack spent."""
    n_references: Count | None
    """Models trained on the audited records."""


class RocPart(_Part):
    """A ROC thinned for drawing, with its pointwise 95 % band."""

    attack: str
    """Name of the attack."""
    fpr: tuple[Number, ...]
    """False-positive rates, rising."""
    tpr: tuple[Number, ...]
    """True-positive rate at each."""
    lower: tuple[Number, ...]
    """Lower band; null below the resolution floor."""
    upper: tuple[Number, ...]
    """Upper band; null below the resolution floor."""


class RiskPart(_Part):
    """The privacy risk score over all units."""

    prior: Number
    """Prior probability of membership behind the score."""
    source: str
    """Where its histograms were fitted."""
    cdf_risk: tuple[Number, ...]
    """Risk levels, rising."""
    cdf_members: tuple[Number, ...]
    """Share of members at or below each, in steps of no fewer than the smallest cell."""
    bin_risk: tuple[Number, ...]
    """Mean score in each reliability bin that is not empty."""
    bin_member_fraction: tuple[Number, ...]
    """Share of members there, both sides weighted alike."""
    rmse: Number
    """Root mean square of their difference over bins, unweighted."""
    rmse_weighted: Number
    """The same, weighted by the units in the bin."""
    thresholds: tuple[Number, ...]
    """Thresholds t of "member if risk >= t"."""
    precision: tuple[Number, ...]
    """Precision at each; null where nobody is selected."""
    recall: tuple[Number, ...]
    """Share of members selected at each."""


class SpreadPart(_Part):
    """One number of one attack over training runs: every reference model in turn as the target."""

    attack: str
    """Its name."""
    metric: str
    """`auc` or `tpr_at_fpr_...`."""
    n_targets: Count
    """Models that were the target."""
    mean: Number
    """Mean over them."""
    lower: Number
    """Lower 95 % bound of the mean over training runs; null for one draw."""
    upper: Number
    """Upper bound."""
    std: Number
    """Standard deviation over targets."""
    smallest: Number
    """The smallest value."""
    largest: Number
    """The largest one."""


class PowerPart(_Part):
    """What a label-only attack reaches with fewer queries."""

    attack: str
    """Its name."""
    n_queries: Count
    """Queries about each record."""
    metric: str
    """`auc` or `tpr_at_fpr_...`."""
    value: Number
    """What it reaches."""
    lower: Number
    """Lower 95 % bound, over units."""
    upper: Number
    """Upper bound."""


class NotRunPart(_Part):
    """An attack that was left out."""

    attack: str
    """Its name."""
    needs: str
    """What it needs."""


class ProvenancePart(_Part):
    """What the numbers stand on."""

    vestige_version: str
    """Version of Vestige."""
    versions: Mapping[str, str]
    """Versions of Python and of the numerical packages."""
    seed: int
    """Seed of every random step."""
    created: str
    """UTC time, ISO 8601."""
    target_digest: str
    """SHA-256 of the target's predictions, labels and membership."""
    shadow_digest: str
    """The same for the shadow model; empty without one."""
    reference_digest: str
    """The same for phi and training sets of the reference models; empty without them."""
    n_records: Count
    """Records given."""
    n_left_out: Count
    """Records left out because their subject is on both sides."""
    options: Mapping[str, str | int | float]
    """Every option that could change a number."""
    definitions: Mapping[str, str]
    """Every definition that could be read two ways."""


class ReportDocument(_Part):
    """A membership-inference audit of one trained classifier.

    Three answers that are never merged into one (`validity`, `adversary`, `finding`), the numbers behind them and
    what they stand on. Rates are fractions. It holds no record, id, input or path.
    """

    schema_version: Literal["1.3"] = "1.3"
    """Version of this document's schema."""
    validity: ValidityPart
    """Answer 1."""
    adversary: AdversaryPart
    """Answer 2."""
    threat_models: tuple[ThreatModelPart, ...]
    """The adversary attack by attack."""
    queries: QueriesPart | None
    """What was asked; null where predictions were given."""
    finding: FindingPart
    """Answer 3."""
    results: tuple[ResultRow, ...]
    """The rows of `results.parquet`; of a column with more groups those of the 50 with the largest areas."""
    groups_left_out: Mapping[str, Count]
    """By column, groups whose rows are in `results.parquet` alone; empty where all are here."""
    rocs: tuple[RocPart, ...]
    """A ROC per attack."""
    spread: tuple[SpreadPart, ...]
    """The same over training runs; empty without reference models."""
    power: tuple[PowerPart, ...]
    """Label-only attacks with fewer queries; empty where none was played."""
    risk: RiskPart | None
    """The privacy risk score; null where the class probabilities are not known."""
    not_run: tuple[NotRunPart, ...]
    """Attacks left out."""
    provenance: ProvenancePart
    """What the numbers stand on."""


def to_document(result: AuditResult) -> ReportDocument:
    """Turn an audit's result into the document that is written to `report.json`.

    Args:
        result: What an audit found. Its table of records is not looked at.

    Returns:
        The document: the same values, with null for NaN.

    Raises:
        pydantic.ValidationError: A value is not of the type the schema gives it.
    """
    results, left_out = _largest_groups(result.results)
    return ReportDocument(
        validity=ValidityPart(answer=result.validity, checks=_parts(CheckPart, result.preflight.checks)),
        adversary=AdversaryPart.model_validate(result.adversary),
        threat_models=_parts(ThreatModelPart, result.threat_models),
        queries=None if result.queries is None else QueriesPart.model_validate(result.queries),
        finding=FindingPart.model_validate(result.finding),
        results=_rows(results),
        groups_left_out=left_out,
        rocs=_parts(RocPart, result.rocs),
        spread=_parts(SpreadPart, result.spread),
        power=_parts(PowerPart, result.power),
        risk=None if result.risk is None else RiskPart.model_validate(result.risk),
        not_run=_parts(NotRunPart, result.not_run),
        provenance=ProvenancePart.model_validate(result.provenance),
    )


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
        '1.3'
    """
    schema = ReportDocument.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **schema}


def schema_text() -> str:
    """Return the committed form of the schema: `python -m vestige.report.document` prints it."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _parts(kind: type[Part], values: Iterable[object]) -> tuple[Part, ...]:
    return tuple(kind.model_validate(value) for value in values)


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


def _rows(results: pd.DataFrame) -> tuple[ResultRow, ...]:
    # By column: a DataFrame gives up its rows one by one a hundred times slower.
    columns = [_column(results[name]) for name in RESULT_DTYPES]
    return tuple(
        ResultRow.model_validate(dict(zip(RESULT_DTYPES, row, strict=True))) for row in zip(*columns, strict=True)
    )


def _column(values: pd.Series) -> list[Any]:
    missing = values.isna().tolist()
    return [None if gone else value for value, gone in zip(values.tolist(), missing, strict=True)]


if __name__ == "__main__":
    print(schema_text(), end="")
