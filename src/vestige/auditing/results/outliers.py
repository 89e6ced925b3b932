"""Whether an attack is more precise on the records that are unlike the others: a finished audit, looked at again."""

from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from vestige.core.errors import InputError
from vestige.core.messages import nearest
from vestige.core.result import AuditResult
from vestige.evaluation.outliers import OutlierPrecision, find_outliers, precision_on_outliers


def precision_of_outliers(
    result: AuditResult,
    attack: str,
    threshold: float,
    *,
    features: Float[np.ndarray, "row feature"] | None = None,
    ids: Shaped[np.ndarray, " given"] | None = None,
    strict: bool = True,
    fraction: float = 0.02,
    n_neighbours: int = 10,
) -> OutlierPrecision:
    """Compare how precise an audit's attack is on the outliers among its records and on all of them.

    Outliers are found among the audited records. Both precisions are for as many members as nonmembers; records are
    counted, not people. `evaluation.outliers` has other shares of members and other confidences.

    Args:
        result: A finished audit.
        attack: Whose scores call members.
        threshold: Score above which a record is called a member, set elsewhere, such as on a shadow model.
        features: Inputs of the last linear layer of a model that is not the target; directions are compared, lengths
            are not. If omitted, of the first torch model trained for the audit, as attacks read it, from the bank; of
            the target itself if none was and it was audited with access to gradients: outliers are then chosen by one
            who knows its parameters.
        ids: Id of each row of the features, in any order; every record of `result.records` must be among them.
        strict: Whether a record exactly at the threshold is called a nonmember.
        fraction: Share of the records that are outliers.
        n_neighbours: Fewer neighbours than this make an outlier.

    Returns:
        Both precisions and their difference, each with a 95 % interval.

    Raises:
        InputError: The attack was not played, ids and features do not fit, features are missing or have no direction.
        UnsupportedModelError: The trained model is no torch module, or its last layer is no linear one.
        TrainingError: The trained model is not in the bank.

    Example:
        >>> from vestige import Predictions, audit
        >>> rng = np.random.default_rng(0)
        >>> p, member = rng.uniform(0.1, 0.9, 400), np.arange(400) < 200
        >>> result = audit(Predictions(np.column_stack([p, 1 - p]), np.zeros(400, dtype=int), member), attacks=["loss"])
        >>> given = {"features": rng.normal(size=(400, 8)), "ids": np.arange(400)}
        >>> found = precision_of_outliers(result, "loss", -0.7, **given)
        >>> found.outliers.n_members + found.outliers.n_nonmembers
        8

    Source:
        Choquette-Choo et al. 2021, section 7 and figure 11.
    """
    records = result.records
    played = [column for column in result.results["attack"].unique() if column in records]
    if attack not in played:
        raise InputError(f"Expected an attack that was played, found {attack}; {nearest(attack, played)}.")
    features = _features_of(result, features, ids)
    found = find_outliers(features, fraction=fraction, n_neighbours=n_neighbours)
    scores, member = records[attack].to_numpy(), records["member"].to_numpy().astype(bool)
    scored = ~np.isnan(scores)  # not the records that the attack learnt from
    called = scores > threshold if strict else scores >= threshold
    return precision_on_outliers(called[scored], member[scored], found.is_outlier[scored])


def called_above(result: AuditResult, attack: str, threshold: str = "shadow_strict") -> float:
    """Return a score above which are exactly the records that a rule of the results called members.

    Args:
        result: A finished audit of records, not of people.
        attack: Whose scores.
        threshold: The rule, such as `shadow_strict`; not one per class.

    Raises:
        InputError: Results have no such rule of the attack.

    Example:
        >>> from vestige import Predictions, Shadow, audit
        >>> member = np.arange(4) < 2
        >>> one, other = (
        ...     Predictions(np.column_stack([p, 1 - p]), np.zeros(4, int), member)
        ...     for p in (np.array([0.9, 0.8, 0.3, 0.7]), np.array([0.9, 0.6, 0.2, 0.75]))
        ... )
        >>> result = audit(other, adversary=Shadow(one), attacks=["confidence"])
        >>> called_above(result, "confidence")
        0.6
    """
    table = result.results
    of_rule = table[(table["attack"] == attack) & (table["threshold"] == threshold) & (table["group"] == "all")]
    recall = of_rule[of_rule["metric"] == "recall"]
    if recall.empty:
        raise InputError(f"Expected {threshold} of {attack} in the results, found none; name another rule.")
    row = recall.iloc[0]
    false_positives = of_rule["false_positives"].dropna().iloc[0]
    n_called = round(row["value"] * row["n_members"]) + int(false_positives)
    scores = np.sort(result.records[attack].to_numpy())[::-1]
    return float(scores[n_called]) if n_called < scores.size else -np.inf


def _features_of(result: AuditResult, features: np.ndarray | None, ids: np.ndarray | None) -> np.ndarray:
    """The features of every record of a result: those that are given, or those of the first trained model."""
    if features is None:
        embeddings = getattr(result, "embeddings", None)
        if embeddings is None:
            raise InputError(
                "Expected features beside an audit without trained models, found none; give features and their ids, or "
                "audit with adversary=ShadowTraining(...), or a torch module with access to gradients."
            )
        ids, features = embeddings()
    if ids is None or len(ids) != len(features):
        n_ids = "none" if ids is None else f"{len(ids):,}"
        raise InputError(f"Expected an id per row of features, found {n_ids} and {len(features):,}; give one each.")
    return features[_rows_of(result.records["id"].tolist(), ids.tolist())]


def _rows_of(wanted: list[Any], ids: list[Any]) -> list[int]:
    """The row of features of every audited record."""
    row_of = {one: row for row, one in enumerate(ids)}
    if len(row_of) < len(ids):
        raise InputError(f"Expected each id once, found {len(ids) - len(row_of):,} again; leave the copies out.")
    missing = sum(one not in row_of for one in wanted)
    if missing:
        raise InputError(
            f"Expected features of every audited record, found none of {missing:,} of {len(wanted):,}; give them all, "
            "under the ids of the audit and in their type."
        )
    return [row_of[one] for one in wanted]
