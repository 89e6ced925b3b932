"""What the evaluation of an audit is given: both models' records as they are evaluated, and what was played on them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from vestige.auditing.label_only.question import LabelResults
from vestige.auditing.played import Played, PlayedAttacks, together
from vestige.auditing.references.scores import ReferenceScores
from vestige.auditing.results.operating_points import Known, known_halves, known_shadow
from vestige.auditing.scoring.learnt_scores import Side, learnt_scores
from vestige.auditing.scoring.observation import Observed, observe, phi_limit_of
from vestige.auditing.selection import Selection
from vestige.core.errors import InputError
from vestige.core.options import Options, SubjectScore
from vestige.core.outputs import PredictedLabels
from vestige.core.predictions import Predictions
from vestige.core.progress import Progress
from vestige.core.seeds import stream
from vestige.core.signal import strongest
from vestige.evaluation.preflight.records_per_subject import comparable_people
from vestige.evaluation.units import Units, halves, make_units, on_both_sides
from vestige.training.accounting import Privacy


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


@dataclass(frozen=True, kw_only=True, eq=False)
class AuditInputs:
    """All that the evaluation of an audit needs.

    Attributes:
        selection: The attacks that were asked for.
        options: What could change a number.
        target: The audited model's records as they are evaluated.
        shadow: Those of the shadow model that thresholds are set on; None without one.
        attacks: The attacks that were played, scores of records that are evaluated.
        references: What reference models add, if there are any.
        is_in: Who was trained on what, of shadow models that were asked for labels only, for all given records; None
            without such.
        n_sources: Models that the shadow's answers are of.
        privacy: What the training of the target promises; None where it promises nothing, or that is not known.
    """

    selection: Selection
    options: Options
    target: Side
    shadow: Side | None
    attacks: PlayedAttacks
    references: ReferenceScores | None = None
    is_in: np.ndarray | None = None
    n_sources: int = 1
    privacy: Privacy | None = None

    @property
    def units(self) -> Units:
        """Records or subjects of the target."""
        return self.target.units

    @cached_property
    def scores(self) -> dict[str, np.ndarray]:
        """Score of each record, per attack; NaN where an attack does not score it, because it learnt from it."""
        return self.attacks.scores

    @cached_property
    def known_scores(self) -> dict[str, np.ndarray]:
        """Scores that `known` selects from, per attack: those of the target itself, where half of it is known."""
        return {**({} if self.shadow else self.scores), **self.attacks.known_scores}

    @property
    def source(self) -> str:
        """Where thresholds come from: `shadow` or `known_half`."""
        return "shadow" if self.shadow else "known_half"

    @cached_property
    def known(self) -> tuple[Known, ...]:
        """Whose membership the adversary knows."""
        units, labels = self.target.units, self.target.labels
        if self.shadow is not None:
            return known_shadow(self.shadow.units, self.shadow.labels, labels.size)
        if min(units.n_members, units.n_nonmembers) < 2:
            return ()
        return known_halves(units, labels, halves(units, stream(self.options.seed, "known halves")))

    @cached_property
    def scored(self) -> tuple[Scored, ...]:
        """The attacks by the records that they score: those that score all first."""
        alike: dict[bytes, tuple[np.ndarray, list[str]]] = {}
        for attack, scores in self.scores.items():
            mask = ~np.isnan(scores)
            alike.setdefault(mask.tobytes(), (mask, []))[1].append(attack)
        whole_first = sorted(alike.values(), key=lambda found: -np.count_nonzero(found[0]))
        return tuple(
            Scored(
                tuple(attacks),
                mask,
                self.units if mask.all() else self.units.restricted(mask),
                self.target.labels[mask],
            )
            for mask, attacks in whole_first
        )

    @property
    def n_queries(self) -> int:
        """Queries about one record that attacks with reference models make."""
        return 1 if self.references is None else self.references.observed.phi.shape[1]

    @property
    def access(self) -> str:
        """The access that the attacks which were played stand for: the strongest any of them needs."""
        return strongest(attack.access for attack in self.attacks.attacks)

    @property
    def n_references(self) -> int:
        """Models with known training sets among the audited records."""
        if self.references is not None:
            return self.references.n_models
        return 0 if self.is_in is None else len(self.is_in)


def audit_inputs(
    target: Predictions,
    shadow: Predictions | None,
    selection: Selection,
    options: Options,
    progress: Progress,
    references: ReferenceScores | None = None,
    asked: LabelResults | None = None,
    n_sources: int = 1,
) -> AuditInputs:
    """Score both models, leave out subjects on both sides, and say whose membership the adversary knows.

    With references, the shadow is one of them if it can be, and their scores come on top.

    Raises:
        InputError: The outputs are not what they are said to be, the shadow does not fit the target, or no attack can
            be played.
    """
    _refuse_names_of_ours(target, selection)
    models = [model for model in (target, shadow) if model is not None]
    limit = phi_limit_of(models, selection.attacks, None if references is None else references.observed.limit)
    observed = observe(target, selection.attacks, options.arithmetic, progress, "scoring the target", limit)
    before = together(found.attacks for found in (references, asked) if found is not None)
    if not any(attack.learns for attack in selection.attacks):
        _refuse_without({**observed.scores, **before.scores}, selection)
    given = shadow
    target, shadow, values = _of_occurring_classes(target, shadow)
    if values is not None and observed.predicted is not None:
        observed = replace(observed, predicted=np.searchsorted(values, observed.predicted))
    keep, units = _units_of(target, options.subject_score)
    keep, units, people = comparable_people(keep, units, stream(options.seed, "matched people"))
    side = Side(
        predictions=target,
        keep=keep,
        labels=target.labels[keep],
        units=units,
        observed=observed,
        people=people,
        label_values=values,
    )
    other = None
    if shadow is not None and given is not None:
        codes = _codes(shadow, target)
        _refuse_subjects_of_one(target, shadow)
        seen = observe(given, selection.attacks, options.arithmetic, progress, "scoring the shadow", limit)
        other = _side_of_shadow(shadow, codes, seen, options.subject_score)
    learnt = learnt_scores(selection.attacks, side, other, options, progress, None if asked is None else asked.copies)
    played = (*_of_answers(selection, side, other), *(_evaluated(one, side, other) for one in before.played))
    attacks = together([PlayedAttacks(played=played, not_run=observed.not_run), replace(before, played=()), learnt])
    _refuse_without(attacks.scores, selection)
    return AuditInputs(
        selection=selection,
        options=options,
        target=side,
        shadow=other,
        attacks=attacks,
        references=references,
        is_in=None if asked is None else asked.is_in,
        n_sources=n_sources,
    )


def _refuse_subjects_of_one(target: Predictions, shadow: Predictions) -> None:
    if (shadow.subjects is None) != (target.subjects is None):
        raise InputError(
            "Expected subjects for both models or for neither, found them for one; a threshold set on records does "
            "not fit people's mean scores. Give shadow_subjects (--subject names the column in both files)."
        )


def _side_of_shadow(shadow: Predictions, codes: np.ndarray, observed: Observed, combine: SubjectScore) -> Side:
    """The shadow model's records; `codes` are the target's of its classes."""
    keep, units = _units_of(shadow, combine)
    return Side(
        predictions=shadow,
        keep=keep,
        labels=np.asarray(codes[shadow.labels])[keep],
        units=units,
        observed=observed,
        classes_in=None if np.array_equal(codes, np.arange(codes.size)) else np.argsort(codes),
    )


def _of_answers(selection: Selection, side: Side, other: Side | None) -> Iterator[Played]:
    """The attacks that read the answers alone."""
    for attack in selection.attacks:
        scores = side.observed.scores.get(attack.name)
        if scores is not None:
            known = None if other is None else other.observed.scores.get(attack.name)
            yield _evaluated(Played(attack=attack, scores=scores, known_scores=known), side, other)


def _evaluated(played: Played, side: Side, other: Side | None) -> Played:
    """What was played on all given records, for those that are evaluated."""
    known = None if other is None or played.known_scores is None else played.known_scores[other.keep]
    by_budget = None if played.by_budget is None else (played.by_budget[0], played.by_budget[1][side.keep])
    return replace(played, scores=played.scores[side.keep], known_scores=known, by_budget=by_budget)


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
    """Recode numbers as labels as 0..K-1 of those that occur: the cost of an audit must not depend on the largest.

    Done only where no column of an output stands for a class and classes have no names; nothing changes if every
    number occurs.

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
