"""What an attack says of each record or person of a finished audit."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Shaped

from vestige.core.errors import InputError
from vestige.core.messages import nearest
from vestige.core.options import SubjectScore
from vestige.core.result import AuditResult
from vestige.evaluation.units import make_units


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoredUnits:
    """Scores of the units that an attack scores; the higher, the more like a member.

    Attributes:
        noun: What a unit is: `record` or `subject`.
        ids: Of each unit, in the order of the records.
        member: Whether the model was trained on it.
        scores: Of each.
    """

    noun: str
    ids: Shaped[np.ndarray, " unit"]
    member: Bool[np.ndarray, " unit"]
    scores: Float[np.ndarray, " unit"]


def attacks_of(audited: AuditResult) -> list[str]:
    """Return the attacks whose scores a run holds."""
    played = [band.attack for band in audited.rocs]
    return [name for name in played if name in audited.records]


def scored_units(audited: AuditResult, attack: str) -> ScoredUnits:
    """Return what an attack says of each unit.

    Args:
        audited: A finished audit with its table of records.
        attack: Name of an attack that was played.

    Raises:
        InputError: The run has no records, or no such attack.
    """
    if audited.records.empty:
        raise InputError(
            "Expected the run's records.parquet, found none: a run is released without it; ask whoever made the run."
        )
    if attack not in (known := attacks_of(audited)):
        raise InputError(f"Expected an attack that was played, found {attack}; {nearest(attack, known)}")
    records = audited.records[audited.records[attack].notna()]
    member, scores = records["member"].to_numpy(bool), records[attack].to_numpy(np.float64)
    if "subject" not in records:
        return ScoredUnits(noun="record", ids=records["id"].to_numpy(), member=member, scores=scores)
    subjects = records["subject"].to_numpy()
    combine = SubjectScore(str(audited.provenance.options.get("subject_score", SubjectScore.MEAN)))
    units = make_units(subjects, member, combine)
    assert units.of_record is not None
    first = np.unique(units.of_record, return_index=True)[1]
    return ScoredUnits(noun="subject", ids=subjects[first], member=units.member, scores=units.score(scores))
