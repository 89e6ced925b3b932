"""`AuditResult`: three answers, a tidy table, curves to draw, and a separate, disclosive table of records.

Frozen values only: `auditing` makes them, `report` writes them and computes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pandas as pd

from vestige.core.curves import RocBand, ScoreHistogram
from vestige.core.messages import money, percent
from vestige.core.schema import Count, Number, Schema

RESULT_DTYPES: Mapping[str, str] = {
    "attack": "str",
    "threshold": "str",
    "metric": "str",
    "group": "str",
    "unit": "str",
    "value": "float64",
    "lower": "float64",
    "upper": "float64",
    "n_members": "Int64",
    "n_nonmembers": "Int64",
    "false_positives": "Int64",
    "status": "str",
    "definition": "str",
    "target": "str",
    "defence": "str",
    "access": "str",
    "n_queries": "Int64",
    "n_references": "Int64",
}
"""Columns of `results.parquet`, one schema for every kind of audit.

attack: an attack's name; `worst`: the largest value over all attacks, with simultaneous bounds; `privacy_risk_score`.
threshold: where the operating point is from: `roc` (no threshold is chosen), `shadow_*`, `known_half_*`, `natural`
    (the attack's own decision, such as log-odds above 0), `oracle`,
    `any` (the largest over an attack's thresholds, with simultaneous bounds), `risk_*` (a level of the privacy risk
    score); for the score's RMSE what it was fitted on, `shadow` or `known_half`.
metric: what was measured; `difference_METRIC` in a group: its value less that of all other records.
group: `all`, `class=NAME`, `GROUP=VALUE`, or `worst_class` / `worst_group` (simultaneous over attacks and groups).
unit: what n counts, `record` or `subject`.
lower, upper: 95 % interval for this model over units; empty where the value is optimistic or not resolvable.
"""


class Status(StrEnum):
    """Whether a row may be used."""

    OK = "ok"
    NOT_RESOLVABLE = "not_resolvable"
    """Fewer than 10 expected false positives: shown grey, unusable by headline and gate."""
    UNDEFINED = "undefined"
    """The ratio has no denominator, such as the precision of an attack that calls no record a member."""
    SUPPRESSED = "suppressed"
    """A cell so small that showing it could disclose a person."""


class Validity(StrEnum):
    """Whether the test can say anything about the model."""

    VALID = "VALID"
    LIMITED = "LIMITED"
    CONFOUNDED = "CONFOUNDED"


class FindingState(StrEnum):
    """What the tested attacks showed."""

    LEAK_SHOWN = "LEAK SHOWN"
    NO_LEAK_SHOWN = "NO LEAK SHOWN ABOVE"
    UNDECIDED = "UNDECIDED"


DECISIVE_FPR = 0.01
"""An audit that resolves no false-positive rate this low cannot say that it saw no leak."""
DECISIVE_NONMEMBERS = 1_000
"""As many resolve it."""
NOTHING_SAID = "Says nothing about the model, because the test is CONFOUNDED."
"""What stands with the finding of such a test."""


@dataclass(frozen=True)
class Check(Schema):
    """One preflight check.

    Attributes:
        name: What was checked, such as `blind_inputs`.
        validity: The worst answer this check alone allows.
        message: What was seen, in one sentence with its numbers.
        remedy: What to do about it; empty where nothing is wrong.
    """

    name: str
    validity: Validity
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class Preflight:
    """Answer 1, the validity of the test: the worst of its checks."""

    checks: tuple[Check, ...]

    @property
    def validity(self) -> Validity:
        """The worst answer among the checks."""
        order = list(Validity)
        return max((check.validity for check in self.checks), key=order.index, default=Validity.VALID)

    def __str__(self) -> str:
        """The answer and, where it is not VALID, the reasons."""
        reasons = [c.message for c in self.checks if c.validity is not Validity.VALID]
        return f"{self.validity}" + (f": {' '.join(reasons)}" if reasons else "")


@dataclass(frozen=True)
class Adversary(Schema):
    """Answer 2, who was played.

    Attributes:
        access: What the target answers: `confidence`, `loss` or `label`.
        knowledge: What else the adversary has: `known half` or `one shadow model`.
        n_references: Models trained on the audited records.
        sentence: The same in words, with what was not tested.
    """

    access: str
    knowledge: str
    n_references: Count
    sentence: str

    def __str__(self) -> str:
        """The sentence."""
        return self.sentence


@dataclass(frozen=True, kw_only=True)
class ThreatModel(Schema):
    """What one attack sees and knows: a row of Choquette-Choo et al. 2021, table 3.

    Attributes:
        attack: Its name.
        interface: What the model must answer: `label`, `loss`, `confidence` or `gradients`.
        feature: The score, in one line.
        knowledge: What else the adversary knows, in that table's words: `train` (how the model was trained), `data`
            (more records like these), `label` (the record's), `model` (its parameters); and `members`, where the
            membership of other records sets its thresholds.
        n_queries: Queries about one record.
        source: Paper.
    """

    attack: str
    interface: str
    feature: str
    knowledge: tuple[str, ...]
    n_queries: Count
    source: str


@dataclass(frozen=True, kw_only=True)
class Queries:
    """What was asked of the model, over all attacks and all starts of the audit.

    Attributes:
        n_sent: Queries that it answered, those that were asked again to compare included.
        n_kept: Queries whose answer was there already, because an equal input was asked before.
        n_failed: Requests that were sent and gave no answer.
        most_per_record: The most queries that were sent about one record.
        price: Price of 1,000 queries; None where none was said.
        n_unanswered: Queries that it may have answered though no answer came: their request failed, or the process
            ended before. They count against a budget.
        cost: Price of all queries that may have been answered; None where none was said.
    """

    n_sent: Count
    n_kept: Count
    n_failed: Count
    most_per_record: Count
    price: float | None = None
    n_unanswered: Count = 0

    @property
    def cost(self) -> float | None:
        """Price of all queries that may have been answered; None where none was said."""
        return None if self.price is None else (self.n_sent + self.n_unanswered) * self.price / 1000

    def __str__(self) -> str:
        """All of it in a sentence."""
        most = f"at most {self.most_per_record:,} about one record"
        parts = [f"{self.n_sent:,} queries answered, {most}, those that were asked twice to compare included"]
        parts += [f"{self.n_kept:,} more took an answer that was kept"] if self.n_kept else []
        parts += [f"{self.n_failed:,} requests failed"] if self.n_failed else []
        parts += [f"{self.n_unanswered:,} queries may have been answered too"] if self.n_unanswered else []
        parts += [] if self.cost is None else [f"{money(self.cost)} at {self.price:g} per 1,000"]
        return "; ".join(parts) + "."


@dataclass(frozen=True, kw_only=True)
class Finding(Schema):
    """Answer 3, what the tested attacks showed, as a sentence.

    Attributes:
        state: LEAK SHOWN, NO LEAK SHOWN ABOVE, or UNDECIDED.
        sentence: The finding in words.
        fpr: The headline false-positive rate: the lowest that n resolves; NaN if none is.
        tpr: Share of members recognised there by the worst attack; NaN if none is.
        tpr_lb: Its simultaneous lower bound over the attacks.
        tpr_ub: Its simultaneous upper bound: the `u` of NO LEAK SHOWN ABOVE u.
        p_value: Familywise permutation p-value over all attacks.
        smallest_visible_tpr: The smallest planted leak this audit sees in 4 of 5 cases, at the headline rate, wherever
            above its threshold.
        n_needed: Nonmembers (and members) that would decide it; 0 where it is decided.
    """

    state: FindingState
    sentence: str
    fpr: Number
    tpr: Number
    tpr_lb: Number
    tpr_ub: Number
    p_value: Number
    smallest_visible_tpr: Number
    n_needed: Count

    @property
    def answer(self) -> str:
        """The state, with its u where it has one."""
        return f"{self.state} {percent(self.tpr_ub)}" if self.state is FindingState.NO_LEAK_SHOWN else str(self.state)

    def __str__(self) -> str:
        """The answer and the sentence."""
        return f"{self.answer}: {self.sentence}"


@dataclass(frozen=True, kw_only=True)
class RiskSummary(Schema):
    """The privacy risk score over all units: how it is spread, and whether it means what it says.

    Attributes:
        prior: Prior probability of membership behind the score.
        source: Where its histograms were fitted: `shadow` or `known_half`.
        cdf_risk: Risk levels, rising.
        cdf_members: Share of members with a risk at or below each, in steps of at least the smallest cell:
            fewer members are counted with the next step.
        bin_risk: Mean score in each reliability bin that holds at least the smallest cell of units.
        bin_member_fraction: Share of members there, after weighting both sides alike.
        rmse: Root mean square of their difference over bins, unweighted.
        rmse_weighted: The same, weighted by the units in the bin.
        thresholds: Thresholds t of "member if risk >= t".
        precision: Precision at each, at the prior; NaN where no unit is selected.
        recall: Share of members selected at each; NaN, with the precision, where so few are that it is hidden.
    """

    prior: Number
    source: str
    cdf_risk: tuple[Number, ...]
    cdf_members: tuple[Number, ...]
    bin_risk: tuple[Number, ...]
    bin_member_fraction: tuple[Number, ...]
    rmse: Number
    rmse_weighted: Number
    thresholds: tuple[Number, ...]
    precision: tuple[Number, ...]
    recall: tuple[Number, ...]


@dataclass(frozen=True, kw_only=True)
class Spread(Schema):
    """One number of one attack over training runs: every reference model in turn as the target.

    Attributes:
        attack: Its name.
        metric: `auc` or `tpr_at_fpr_...`.
        n_targets: Models that were the target.
        mean: Mean over them.
        lower: 95 % interval of the expected mean over trainings of all models, target and references, on these records:
            a jackknife over what was drawn together, each left out as the target and as a reference, because targets
            share the models that score them. NaN where too few models remain for that.
        upper: Its upper bound.
        std: Standard deviation of one target's value over trainings, not of the mean: that between targets, and what
            they share.
        smallest: The smallest value.
        largest: The largest one.
    """

    attack: str
    metric: str
    n_targets: Count
    mean: Number
    lower: Number
    upper: Number
    std: Number
    smallest: Number
    largest: Number


@dataclass(frozen=True, kw_only=True)
class Power(Schema):
    """What a label-only attack reaches with fewer queries.

    Attributes:
        attack: Its name.
        n_queries: Queries about each record.
        metric: `auc` or `tpr_at_fpr_...`.
        value: What it reaches.
        lower: Lower 95 % bound, over units.
        upper: Upper bound.
    """

    attack: str
    n_queries: Count
    metric: str
    value: Number
    lower: Number
    upper: Number


@dataclass(frozen=True)
class NotRun(Schema):
    """An attack that was left out.

    Attributes:
        attack: Its name.
        needs: What it needs.
    """

    attack: str
    needs: str


@dataclass(frozen=True)
class LearntFeature(Schema):
    """A number that a learnt attack combines.

    Attributes:
        name: Which one.
        mean: Over the rows that weights were fitted to; it is subtracted.
        deviation: Standard deviation over these rows; the difference is divided by it, and clipped at 4.
    """

    name: str
    mean: Number
    deviation: Number


@dataclass(frozen=True, kw_only=True)
class LearntCombination(Schema):
    """What an attack learnt from reference models that were played as targets.

    Attributes:
        attack: Its name.
        n_models: Models that were played.
        n_rows: Rows of a model and a record that weights were fitted to.
        features: What is combined.
        weights: Of the intercept, each feature, products of two, and hinges [nats]; all but the intercept are of terms
            less their mean.
    """

    attack: str
    n_models: Count
    n_rows: Count
    features: tuple[LearntFeature, ...]
    weights: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What the numbers stand on; release-safe: digests, never paths or names of people.

    Attributes:
        vestige_version: Version of this package.
        versions: Versions of Python and of the numerical packages.
        seed: Seed of every random step.
        created: UTC time, ISO 8601.
        target_digest: SHA-256 of everything given of the target.
        shadow_digest: The same for the shadow model; empty without one.
        reference_digest: The same for phi and training sets of the reference models; empty without them.
        n_records: Records given.
        n_left_out: Records left out because their subject is on both sides.
        options: Every option that could change a number, with its value.
        definitions: Every definition that could be read two ways, in a sentence.
        attacks: What was asked to be played: `all`, a name, or `module:function` with the digest of a custom attack.
        likelihood_ratio: How LiRA was asked to be played; empty without reference models.
        learnt: What attacks learnt from reference models.
        defence: What stood in front of the model, and what the adversary knew of it; empty without a defence.
    """

    vestige_version: str
    versions: Mapping[str, str]
    seed: int
    created: str
    target_digest: str
    shadow_digest: str
    reference_digest: str
    n_records: Count
    n_left_out: Count
    options: Mapping[str, str | int | float]
    definitions: Mapping[str, str]
    attacks: Mapping[str, str] = field(default_factory=lambda: {"all": ""})
    likelihood_ratio: Mapping[str, str | float] = field(default_factory=dict)
    learnt: tuple[LearntCombination, ...] = ()
    defence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class AuditResult:
    """Everything an audit found.

    Attributes:
        preflight: Answer 1: validity of the test.
        adversary: Answer 2: who was played.
        threat_models: The same attack by attack: what each sees and knows.
        queries: What was asked of the model; None where predictions were given.
        finding: Answer 3: what was shown.
        results: Tidy table with the columns of `RESULT_DTYPES`; safe to release.
        records: One row per record: id, subject, label, groups, member, a score per attack (missing where the attack
            learnt from the record), risk, and with reference models the privacy score (how vulnerable, whatever the
            target). Disclosive.
        rocs: A drawable ROC per attack.
        targets: With reference models, every one of them in turn as the target: columns `model`, `attack`, `metric` and
            `value`. Empty where there are none, or too few.
        spread: The same summed up, per attack and metric: what training again does to a number.
        power: Label-only attacks with fewer queries than they had; empty where none was played.
        risk: The privacy risk score's summary; None where the class probabilities are not known.
        not_run: Attacks left out and what they need.
        provenance: What the numbers stand on.
        histograms: The scores of every attack in bins, which may be released.
    """

    preflight: Preflight
    adversary: Adversary
    threat_models: tuple[ThreatModel, ...]
    queries: Queries | None
    finding: Finding
    results: pd.DataFrame
    records: pd.DataFrame
    rocs: tuple[RocBand, ...]
    targets: pd.DataFrame
    spread: tuple[Spread, ...]
    power: tuple[Power, ...]
    risk: RiskSummary | None
    not_run: tuple[NotRun, ...]
    provenance: Provenance
    histograms: tuple[ScoreHistogram, ...] = ()

    @property
    def validity(self) -> Validity:
        """VALID, LIMITED or CONFOUNDED."""
        return self.preflight.validity

    def __repr__(self) -> str:
        """The answers in short, without a record."""
        n_attacks = len({roc.attack for roc in self.rocs})
        return (
            f"<{type(self).__name__}: {self.finding.state}, {self.validity}, {n_attacks} attacks on "
            f"{self.provenance.n_records:,} records>"
        )

    @property
    def answer(self) -> str:
        """Answer 3 in a word; a test that is CONFOUNDED has none."""
        return "no finding" if self.validity is Validity.CONFOUNDED else self.finding.answer

    def __str__(self) -> str:
        """The three answers, a line each; a finding of a confounded test is said to say nothing."""
        void = self.validity is Validity.CONFOUNDED
        finding = f"No finding: {NOTHING_SAID} {self.finding.sentence}" if void else str(self.finding)
        return f"{self.preflight}\n{self.adversary}\n{finding}"
