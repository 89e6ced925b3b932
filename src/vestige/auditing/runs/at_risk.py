"""Which members an attack finds first, and how sure it can be of each. Disclosive: for the owner of the data alone."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from vestige.auditing.finished import FinishedAudit
from vestige.auditing.runs.scored_units import ScoredUnits, attacks_of, scored_units
from vestige.core.errors import InputError
from vestige.core.messages import percent
from vestige.evaluation.intervals import precision_bounds, rate_bounds
from vestige.report.rows import Rows


def members_at_risk(audited: FinishedAudit, *, attack: str | None = None, prior: float = 0.5) -> pd.DataFrame:
    """List the members, those an attack finds first at the top.

    An attack that names everybody who scores at least as high as a member names that member, some other members and
    some nonmembers. How few nonmembers is what the member's risk is measured by.

    Args:
        audited: A finished audit with its table of records.
        attack: Whose scores; by default the attack with the largest true-positive rate at the headline rate.
        prior: Share of members among all whom the attacker could name.

    Returns:
        A line per member, or per person where records have some: `record` or `subject` (the id), `score`,
        `false_positive_rate` with `_lower` and `_upper`, and `precision` with `_lower` and `_upper`: the probability
        that a naming at that score is right. Intervals are 95 %, for this model over records or people.

    Raises:
        InputError: There are no records, no such attack, or no such prior.

    Example:
        >>> import numpy as np, vestige
        >>> from vestige.core.outputs import Logits
        >>> draw = np.random.default_rng(0)
        >>> labels = draw.integers(3, size=400)
        >>> member = np.arange(400) % 2 == 0
        >>> logits = draw.normal(size=(400, 3)) + (1 + 2 * member)[:, None] * np.eye(3)[labels]
        >>> audited = vestige.audit(vestige.Predictions(Logits(logits), labels, member))
        >>> members_at_risk(audited, prior=0.1).columns.tolist()[:3]
        ['record', 'score', 'false_positive_rate']
    """
    if not 0 < prior < 1:
        raise InputError(f"Expected a prior between 0 and 1, found {prior:g}; 0.5 if every second person is a member.")
    units = scored_units(audited, attack or leading_attack(audited))
    order = np.argsort(-units.scores[units.member], kind="stable")
    scores, ids = units.scores[units.member][order], units.ids[units.member][order]
    found = {units.noun: ids, "score": scores} | _rates(units, scores, prior)
    return pd.DataFrame(found)


def leading_attack(audited: FinishedAudit) -> str:
    """Return the attack with the largest true-positive rate at the headline rate, or else the largest area.

    Raises:
        InputError: No attack was played, or the run has no records.
    """
    order = Rows(audited.results).strongest_first(audited.finding)  # as the page has it
    best = next((name for name in order if name in attacks_of(audited)), None)
    if best is None:
        raise InputError("Expected records with scores of an attack, found none; the run needs its records.parquet.")
    return best


def _rates(units: ScoredUnits, at: np.ndarray, prior: float) -> dict[str, np.ndarray]:
    """False-positive rate and precision of naming everybody who scores at least so much."""
    others, members = np.sort(units.scores[~units.member]), np.sort(units.scores[units.member])
    n_false = others.size - np.searchsorted(others, at, "left")
    n_true = members.size - np.searchsorted(members, at, "left")
    fpr, tpr = n_false / others.size, n_true / members.size
    within = rate_bounds(n_false, others.size)
    right = precision_bounds(n_true, members.size, n_false, others.size, prior)
    return {
        "false_positive_rate": fpr,
        "false_positive_rate_lower": within.lower,
        "false_positive_rate_upper": within.upper,
        "precision": prior * tpr / (prior * tpr + (1 - prior) * fpr),
        "precision_lower": right.lower,
        "precision_upper": right.upper,
    }


@dataclass(frozen=True)
class Told:
    """What may be told to one person."""

    is_member: bool
    words: str


def told_of(audited: FinishedAudit, name: str, *, attack: str | None = None, prior: float = 0.5) -> Told:
    """Say in words how far one record, or person, is at risk.

    Args:
        audited: A finished audit with its table of records.
        name: Id of the record, or of the person where records have some, as text.
        attack: As in `members_at_risk`.
        prior: As in `members_at_risk`.

    Raises:
        InputError: There is no such id, or as in `members_at_risk`.
    """
    chosen = attack or leading_attack(audited)
    units = scored_units(audited, chosen)
    places = np.flatnonzero(units.ids.astype(str) == name)
    if places.size == 0:
        raise InputError(
            f"Expected the id of a {units.noun} that {chosen} scores, found {name}; ids are in records.parquet."
        )
    what = "person" if units.noun == "subject" else "record"
    if not units.member[places[0]]:
        return Told(False, f"This {what}'s data were not used to train the model.")
    line = members_at_risk(audited, attack=chosen, prior=prior)
    one = line.iloc[int(np.flatnonzero(line[units.noun].astype(str) == name)[0])]
    n_names = int((line["score"] >= one["score"]).sum())
    return Told(
        True,
        f"This {what}'s data were used to train the model. The strongest attack tested ({chosen.replace('_', ' ')}) "
        f"names {n_names:,} of {len(line):,} members at least as early, and wrongly names "
        f"{_within(one, 'false_positive_rate')} of those whose data were not used. If {percent(prior)} of "
        f"all candidates were members, whoever names this {what} would be right with a probability of "
        f"{_within(one, 'precision')}. "
        "Intervals are 95 %. A stronger attack may tell more.",
    )


def _within(one: "pd.Series[float]", name: str) -> str:
    value, lower, upper = (percent(float(one[f"{name}{end}"])) for end in ("", "_lower", "_upper"))
    return f"{value} ({lower} to {upper})"
