"""Why some records are at risk: a finished audit, looked at again beside its model and its recipe."""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vestige.auditing.risk_causes.retraining import Retrained, Retraining, retrained
from vestige.core.errors import InputError
from vestige.core.progress import Progress
from vestige.core.records import Records, joined
from vestige.core.result import AuditResult
from vestige.core.seeds import stream
from vestige.evaluation.risk_causes import (
    ClassRisks,
    Correlation,
    class_risks,
    drawn_of_each,
    extreme_classes,
    plane_of,
    rank_correlation,
    sensitivity,
)
from vestige.report.progress import progress_bar
from vestige.report.risk_causes_page import risk_causes_page, write_risk_causes
from vestige.targets.access import embeddings_of
from vestige.targets.opening import open_target


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class RiskCauses:
    """What goes with the risk of an audit's records. Disclosive: do not release, share or publish.

    Attributes:
        classes: A row per class: `class`, `n_members`, `n_nonmembers`, `training_accuracy`, `test_accuracy`,
            `generalisation_error`, `mean_risk` of the members; sorted by generalisation error, as in the paper.
        classes_correlation: Pearson's, of generalisation error and mean risk over classes.
        sensitivity: A row per record that a model was trained without: `id`, `class`, `risk`, `sensitivity` [nats];
            None if none was.
        sensitivity_correlation: Spearman's, of risk and sensitivity; None likewise.
        failures: Records that no model could be trained without, and why.
        plane: A row per record of the classes least and most at risk: `id`, `class`, `at`, which is `lowest` or
            `highest`, `member`, `x`, `y`, the class least at risk first; None without a model.
    """

    classes: pd.DataFrame
    classes_correlation: Correlation
    sensitivity: pd.DataFrame | None = None
    sensitivity_correlation: Correlation | None = None
    failures: pd.DataFrame
    plane: pd.DataFrame | None = None

    def __str__(self) -> str:
        """A sentence for each cause that was looked at."""
        return "\n".join(self.sentences)

    __repr__ = __str__

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was found, in words that name no record."""
        found = [
            f"Mean risk and generalisation error over {self.classes_correlation.n} classes: Pearson correlation "
            f"{self.classes_correlation}."
        ]
        if self.sensitivity is not None and self.sensitivity_correlation is not None:
            n_failed = f"; {len(self.failures)} trainings failed" if len(self.failures) else ""
            found.append(
                f"Risk and sensitivity over {self.sensitivity_correlation.n} training records, each left out once: "
                f"rank correlation {self.sensitivity_correlation}; median sensitivity "
                f"{self.sensitivity.sensitivity.median():.2f} nats{n_failed}."
            )
        if self.plane is not None:
            low, high = (self.plane[self.plane["at"] == at]["class"].nunique() for at in ("lowest", "highest"))
            found.append(f"Features of the last hidden layer: {low} classes least and {high} most at risk.")
        return tuple(found)

    def save(self, folder: str | Path) -> None:
        """Write `why.html` and a CSV for each table, readable by their owner alone.

        Raises:
            OutputError: The folder cannot be written.
        """
        write_risk_causes(self.sentences, self._tables(), Path(folder))

    def _repr_html_(self) -> str:
        return risk_causes_page(self.sentences, self._tables(), whole=False)

    def _tables(self) -> dict[str, pd.DataFrame]:
        tables = {"classes": self.classes, "sensitivity": self.sensitivity, "plane": self.plane}
        return {name: table for name, table in tables.items() if table is not None}


def why_at_risk(
    result: AuditResult,
    *records: Records,
    model: Any = None,
    retraining: Retraining | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> RiskCauses:
    """Look for what goes with the privacy risk score of an audit's records.

    How well each class generalises is known of every audit. With a recipe, models are trained without each of some
    records, and compared with one of all records by the same seed. Records are counted, not people.

    Args:
        result: A finished audit of confidences with the attacks `modified_entropy` and `correctness`.
        records: The audited records: members, then nonmembers, as `audit` was given them, or the pool of
            `audit_recipe`. Needed with one of the following.
        model: The audited torch module, or its `ModelFile`: features of its last hidden layer are drawn.
        retraining: How to train again without a record; `cost_of_retraining` says what it costs.
        seed: Of the sample of records and of the picture.
        progress: As of `vestige.audit`.

    Returns:
        Tables and correlations, all disclosive.

    Raises:
        InputError: The audit has no risk, or records are missing or others, or classes too small for a picture.
        UnsupportedModelError: The model has no last linear layer.
        TrainingError: No model could be trained, or not so that only the record changes; the message says why.
        ArtefactError, OutputError: The bank is damaged, or cannot be written.

    Example:
        >>> from vestige import Predictions, audit
        >>> rng = np.random.default_rng(0)
        >>> member, labels = np.arange(400) < 200, np.arange(400) % 5
        >>> p = np.clip(rng.beta(4, 2, 400) + 0.05 * labels * member, 0.01, 0.99)
        >>> answers = np.where(np.arange(5) == labels[:, None], p[:, None], (1 - p[:, None]) / 4)
        >>> why = why_at_risk(audit(Predictions(answers, labels, member)))
        >>> list(why.classes.columns[-2:]), why.classes_correlation.n
        (['generalisation_error', 'mean_risk'], 5)

    Source:
        Song & Mittal 2021, section 4.2.4, figures 7 to 9. One t-SNE for both sides and all intervals are ours.
    """
    table = _table_of(result)
    codes, names = pd.factorize(table["label"], sort=True)
    member, right = table["member"].to_numpy().astype(bool), table["correctness"].to_numpy() > 0
    risks = class_risks(codes, member, right, table["risk"].to_numpy(), len(names))
    found: dict[str, Any] = {"failures": pd.DataFrame({"id": [], "why": []})}
    if model is not None or retraining is not None:
        pool, rows = _pool_of(table, records)
        with progress_bar() if progress is None else nullcontext(progress) as shown:
            if retraining is not None:
                trained_on = np.arange(records[0].n_records) if len(records) == 2 else np.sort(rows[member])
                again = retrained(pool.take(trained_on), retraining, seed, shown)
                found |= _sensitivity(table, rows, trained_on, again)
            if model is not None:
                shown("placing records by their features", 0, 1)
                found["plane"] = _plane(table, pool.take(rows), model, (codes, risks), seed)
    return RiskCauses(classes=_classes(risks, names), classes_correlation=risks.correlation, **found)


def _table_of(result: AuditResult) -> pd.DataFrame:
    """The records of a result, if it says what is needed of each."""
    lacking = [name for name in ("risk", "correctness") if name not in result.records]
    if lacking:
        raise InputError(
            f"Expected an audit with {' and '.join(lacking)} of every record, found none; audit confidences, with the "
            "attacks modified_entropy and correctness among those that are played."
        )
    return result.records


def _pool_of(table: pd.DataFrame, records: tuple[Records, ...]) -> tuple[Records, np.ndarray]:
    """The audited records, and the row of each record of a result among them."""
    if not 1 <= len(records) <= 2:
        raise InputError(
            f"Expected the audited records, found {len(records)} sets of them; give members and nonmembers, or the "
            "pool of an audited recipe."
        )
    pool = records[0] if len(records) == 1 else joined(*records)
    ids = range(pool.n_records) if pool.ids is None else pool.ids.tolist()
    row_of = {one: row for row, one in enumerate(ids)}
    missing = sum(one not in row_of for one in table["id"].tolist())
    rows = np.array([row_of.get(one, 0) for one in table["id"].tolist()], dtype=np.int64)
    names = pool.labels if pool.classes is None else np.asarray(pool.classes, dtype=object)[pool.labels]
    n_other = int((names[rows].astype(str) != table["label"].astype(str).to_numpy()).sum())
    if missing or n_other:
        raise InputError(
            f"Expected the audited records, found {missing:,} missing and {n_other:,} of another class; give members, "
            "then nonmembers, in the order and with the ids of the audit."
        )
    return pool, rows


def _sensitivity(table: pd.DataFrame, rows: np.ndarray, trained_on: np.ndarray, again: Retrained) -> dict[str, Any]:
    """The table of sensitivities and its correlation; `rows` are of the result, `trained_on` of the members."""
    place_of = np.full(trained_on.max() + 1, -1)
    inside = rows < place_of.size
    place_of[rows[inside]] = np.flatnonzero(inside)
    places = place_of[trained_on[again.rows]]
    kept = places >= 0  # a member that the audit left out, because its subject is on both sides, has no risk
    of_these = table.iloc[places[kept]]
    values = sensitivity(again.without, again.trained)[kept]
    failed = place_of[trained_on[list(again.failures)]] if again.failures else np.empty(0, dtype=np.int64)
    reasons = np.array(list(again.failures.values()), dtype=object)[failed >= 0]
    found = pd.DataFrame({"id": of_these["id"], "class": of_these["label"], "risk": of_these["risk"]})
    return {
        "sensitivity": found.assign(sensitivity=values).reset_index(drop=True),
        "sensitivity_correlation": rank_correlation(found["risk"].to_numpy(), values),
        "failures": pd.DataFrame({"id": table["id"].iloc[failed[failed >= 0]].to_numpy(), "why": reasons}),
    }


def _plane(
    table: pd.DataFrame, pool: Records, model: Any, classes: tuple[np.ndarray, ClassRisks], seed: int
) -> pd.DataFrame:
    """Positions of the records of the extreme classes; `pool` has a row for each row of the table."""
    codes, risks = classes
    low, high = extreme_classes(risks)
    if not low.size:
        raise InputError(
            "Expected two classes with 20 members and a nonmember each for a picture of features, found fewer; leave "
            "the model out."
        )
    at = np.flatnonzero(np.isin(codes, [*low, *high]))
    some = pool.take(at)
    _, features = embeddings_of(open_target(model, pool.n_classes, pool.classes), some)
    member = table["member"].to_numpy().astype(bool)[at]
    drawn = drawn_of_each(features, 2 * codes[at] + member, stream(seed, "records in the picture"))
    by_risk = [*low, *high]
    drawn = drawn[np.argsort([by_risk.index(code) for code in codes[at[drawn]]], kind="stable")]
    x, y = plane_of(features[drawn], seed).T
    shown = table.iloc[at[drawn]]
    sides = np.where(np.isin(codes[at[drawn]], low), "lowest", "highest")
    return pd.DataFrame(
        {"id": shown["id"], "class": shown["label"], "at": sides, "member": member[drawn], "x": x, "y": y}
    ).reset_index(drop=True)


def _classes(risks: ClassRisks, names: pd.Index) -> pd.DataFrame:
    columns = ("n_members", "n_nonmembers", "training_accuracy", "test_accuracy", "generalisation_error", "mean_risk")
    table = pd.DataFrame({"class": names, **{name: getattr(risks, name) for name in columns}})
    return table.sort_values("generalisation_error", kind="stable", ignore_index=True)
