"""An audit's material: both models' answers seen once, and everything the evaluation needs of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from vestige.auditing.label_only.findings import LabelScores
from vestige.auditing.references.scores import ReferenceScores
from vestige.auditing.results.operating_points import Known, known_halves, known_shadow
from vestige.auditing.results.people import comparable_people
from vestige.auditing.scoring.learnt_scores import LearntScores, Side, learnt_scores
from vestige.auditing.scoring.observation import Observed, observe
from vestige.auditing.selection import Selection
from vestige.core.errors import InputError
from vestige.core.options import Options, SubjectScore
from vestige.core.outputs import PredictedLabels
from vestige.core.predictions import Predictions
from vestige.core.progress import Progress
from vestige.core.result import Check
from vestige.core.seeds import stream
from vestige.evaluation.units import Units, halves, make_units, on_both_sides


@dataclass(frozen=True, eq=False)
class Scored:
    """Attacks that score the same records, and these records.

    Attributes:
        attacks: Their names.
        records: Which of a case's records they score.
        units: Records or subjects, of these alone.
        labels: Class of each of these records.
    """

    attacks: tuple[str, ...]
    records: np.ndarray
    units: Units
    labels: np.ndarray

    def of(self, values: np.ndarray) -> np.ndarray:
        """What belongs to these records, of one value per record of the case."""
        return values if self.records.all() else values[self.records]


@dataclass(frozen=True, eq=False)
class Case:
    """The target's records as they are evaluated, after one pass over the outputs of both models.

    Attributes:
        selection: The attacks that were asked for.
        options: What could change a number.
        target: What was given; `keep` selects the records that are evaluated.
        keep: False for records of subjects that are on both sides, or without anybody on the other side who has as
            many records. All arrays below are of kept records.
        labels: Class of each record.
        member: Side of each record.
        units: Records or subjects.
        scores: Score of each record, per attack; NaN where an attack does not score it, because it learnt from it.
        observed: What the pass over the target gave for all given records.
        learnt: What attacks gave that learn from known members.
        source: Where thresholds come from: `shadow` or `known_half`.
        known: Whose membership the adversary knows.
        known_scores: Scores that `known` selects from, per attack.
        shadow: The shadow as given, if any.
        shadow_keep: As `keep`, of the shadow's records.
        shadow_digest: Digest of its predictions; empty without one.
        references: What reference models add, if there are any.
        labels_asked: What label-only attacks add.
        people: Whether people on both sides have equally many records; None without subjects.
        label_values: Number that each class stands for, where labels are numbers without names and not all occur.
        shadow_losses: Losses of all records of the shadow, if they are known.
    """

    selection: Selection
    options: Options
    target: Predictions
    keep: np.ndarray
    labels: np.ndarray
    member: np.ndarray
    units: Units
    scores: Mapping[str, np.ndarray]
    observed: Observed
    learnt: LearntScores
    source: str
    known: tuple[Known, ...]
    known_scores: Mapping[str, np.ndarray]
    shadow: Predictions | None
    shadow_keep: np.ndarray | None
    shadow_digest: str
    references: ReferenceScores | None = None
    labels_asked: LabelScores = field(default_factory=LabelScores)
    people: Check | None = None
    label_values: np.ndarray | None = None
    shadow_losses: np.ndarray | None = None

    @cached_property
    def scored(self) -> tuple[Scored, ...]:
        """The attacks by the records that they score: those that score all first."""
        alike: dict[bytes, list[str]] = {}
        masks = {}
        for attack, scores in self.scores.items():
            mask = ~np.isnan(scores)
            key = mask.tobytes()
            masks[key] = mask
            alike.setdefault(key, []).append(attack)
        whole_first = sorted(alike, key=lambda key: -np.count_nonzero(masks[key]))
        return tuple(
            Scored(
                tuple(alike[key]),
                masks[key],
                self.units if masks[key].all() else self.units.restricted(masks[key]),
                self.labels[masks[key]],
            )
            for key in whole_first
        )

    @property
    def n_references(self) -> int:
        """Models with known training sets among the audited records."""
        if self.references is not None:
            return self.references.n_models
        return 0 if self.labels_asked.is_in is None else len(self.labels_asked.is_in)


def prepare_case(
    target: Predictions,
    shadow: Predictions | None,
    selection: Selection,
    options: Options,
    progress: Progress,
    references: ReferenceScores | None = None,
    labels_asked: LabelScores | None = None,
) -> Case:
    """Score both models, leave out subjects on both sides, and say whose membership the adversary knows.

    With references, the shadow is one of them if it can be, and their scores come on top.

    Raises:
        InputError: The outputs are not what they are said to be, the shadow does not fit the target, or no attack can
            be played.
    """
    _refuse_names_of_ours(target, selection)
    observed = observe(target, selection.attacks, options.arithmetic, progress, "scoring the target")
    by_labels = labels_asked or LabelScores()
    ours = {**({} if references is None else references.scores), **by_labels.scores}
    if not any(attack.learns for attack in selection.attacks):
        _refuse_without({**observed.scores, **ours}, selection)
    given = shadow
    target, shadow, values = _of_occurring_classes(target, shadow)
    if values is not None and observed.predicted is not None:
        observed = replace(observed, predicted=np.searchsorted(values, observed.predicted))
    keep, units = _units_of(target, options.subject_score)
    keep, units, people = comparable_people(keep, units, stream(options.seed, "matched people"))
    labels, member = target.labels[keep], target.member[keep]
    scores = {name: values[keep] for name, values in {**observed.scores, **ours}.items()}
    side = Side(target, keep, labels, units, asked=by_labels.signals)
    if shadow is None or given is None:
        learnt = learnt_scores(selection.attacks, side, None, options, progress)
        _refuse_without({**scores, **learnt.scores}, selection)
        first = halves(units, stream(options.seed, "known halves"))
        both = min(units.n_members, units.n_nonmembers) >= 2
        return Case(
            selection, options, target, keep, labels, member, units, {**scores, **learnt.scores}, observed, learnt,
            "known_half", known_halves(units, labels, first) if both else (), {**scores, **learnt.known_scores},
            None, None, "", references, by_labels, people=people, label_values=values,
        )  # fmt: skip
    codes = _codes(shadow, target)
    shadow_labels = np.asarray(codes[shadow.labels])
    if (shadow.subjects is None) != (target.subjects is None):
        raise InputError(
            "Expected subjects for both models or for neither, found them for one; a threshold set on records does "
            "not fit people's mean scores. Give shadow_subjects (--subject names the column in both files)."
        )
    seen = observe(given, selection.attacks, options.arithmetic, progress, "scoring the shadow")
    shadow_keep, shadow_units = _units_of(shadow, options.subject_score)
    theirs = {**({} if references is None else references.shadow_scores), **by_labels.shadow_scores}
    of_shadow = {name: values[shadow_keep] for name, values in {**seen.scores, **theirs}.items()}
    columns = None if np.array_equal(codes, np.arange(codes.size)) else np.argsort(codes)
    other = Side(
        shadow, shadow_keep, shadow_labels[shadow_keep], shadow_units, columns, by_labels.shadow_signals
    )  # fmt: skip
    learnt = learnt_scores(selection.attacks, side, other, options, progress)
    _refuse_without({**scores, **learnt.scores}, selection)
    return Case(
        selection, options, target, keep, labels, member, units, {**scores, **learnt.scores}, observed, learnt,
        "shadow", known_shadow(shadow_units, other.labels, labels.size), {**of_shadow, **learnt.known_scores},
        shadow, shadow_keep, seen.digest, references, by_labels, people=people, label_values=values,
        shadow_losses=seen.losses,
    )  # fmt: skip


def _units_of(predictions: Predictions, combine: SubjectScore) -> tuple[np.ndarray, Units]:
    """Records and units that are evaluated: those of subjects that are on one side only."""
    subjects, member = predictions.subjects, predictions.member
    if subjects is None:
        return np.ones(member.size, dtype=bool), make_units(None, member, combine)
    keep = ~on_both_sides(subjects, member)
    if not member[keep].any() or member[keep].all():
        raise InputError(
            "Expected subjects on each side, found none left on one after leaving out those that are on both; "
            "check the subject column."
        )
    return keep, make_units(subjects[keep], member[keep], combine)


def _of_occurring_classes(
    target: Predictions, shadow: Predictions | None
) -> tuple[Predictions, Predictions | None, np.ndarray | None]:
    """Labels that are numbers as codes of those that occur: what an audit costs must not hang on the largest.

    Only where no column stands for a class and classes have no names; nothing changes if every number occurs.

    Returns:
        Both models' predictions, and which number each code stands for; None if it is the code itself.
    """
    both = [target] if shadow is None else [target, shadow]
    if any(p.classes is not None or any(o.n_axes == 2 for o in p.outputs) for p in both):
        return target, shadow, None
    predicted = [found.whole() for p in both if (found := p.output(PredictedLabels)) is not None]
    values = np.unique(np.concatenate([*(p.labels for p in both), *predicted]))
    if values.size == int(values[-1]) + 1:
        return target, shadow, None

    def coded(p: Predictions) -> Predictions:
        outputs = [
            PredictedLabels(np.searchsorted(values, o.whole())) if isinstance(o, PredictedLabels) else o
            for o in p.outputs
        ]
        labels = np.searchsorted(values, p.labels)
        return replace(p, outputs=outputs, labels=labels, classes=[str(value) for value in values])

    return coded(target), None if shadow is None else coded(shadow), values


def _refuse_names_of_ours(target: Predictions, selection: Selection) -> None:
    names = (*selection.left_out, *(attack.name for attack in selection.attacks))
    ours = {"id", "subject", "label", "class", "member", "risk", "privacy_score", *names}
    for name in target.groups:
        if name in ours:
            raise InputError(
                f"Expected a group column of another name, found {name}, which the results use; rename it."
            )


def _refuse_without(scores: Mapping[str, np.ndarray], selection: Selection) -> None:
    if not scores:
        cure = "give probabilities or logits." if not selection.left_out else f"{selection.needs()}."
        raise InputError(f"Expected outputs that some attack can read, found none; {cure}")


def _codes(shadow: Predictions, target: Predictions) -> np.ndarray:
    """The target's code of each of the shadow's classes: classes are matched by name."""
    if shadow.n_classes != target.n_classes and (shadow.classes is None or target.classes is None):
        # Without names a table of losses shows only the classes that occur; columns must agree.
        if any(o.n_axes == 2 for o in (*shadow.outputs, *target.outputs)):
            raise InputError(
                f"Expected the shadow to have the target's {target.n_classes} classes, found {shadow.n_classes}; "
                "give a model trained for the same task."
            )
        return np.arange(shadow.n_classes)
    names = {target.class_name(code): code for code in range(target.n_classes)}
    unknown = [n for n in map(shadow.class_name, range(shadow.n_classes)) if n not in names]
    if unknown:
        raise InputError(
            f"Expected the shadow to have the target's classes, found {', '.join(unknown[:5])}, which the target does "
            "not have; give a model trained for the same task."
        )
    return np.array([names[shadow.class_name(code)] for code in range(shadow.n_classes)])
