"""The parts of a result that are said in words: checks, adversary, what was not run, provenance, definitions."""

import functools
import math
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata

import numpy as np

from vestige.auditing.references.scores import ReferenceScores
from vestige.auditing.results.ceiling import ceiling
from vestige.auditing.results.inputs import AuditInputs
from vestige.core.predictions import Predictions
from vestige.core.result import Adversary, Check, NotRun, Provenance, ThreatModel, Validity
from vestige.core.signal import KNOWLEDGE
from vestige.evaluation import preflight
from vestige.evaluation.preflight.promised_privacy import for_people
from vestige.evaluation.roc import Roc, pooled, roc
from vestige.evaluation.units import on_both_sides
from vestige.signals.losses import losses_from_phi


def not_tested_of(audited: AuditInputs) -> str:
    """Say which stronger attackers were not played."""
    left_out = "attacks that were left out on request and " if audited.selection.left_out else ""
    compared = {
        attack.name for attack in audited.selection.attacks if "is_in" in attack.reads or attack.needs_references
    }
    more = "more queries" if compared & set(audited.scores) else "reference models"
    stronger = "" if "gradient_norm" in audited.scores else " or access to the parameters"
    if audited.access == "label":
        stronger = ", access to probabilities or to the parameters"
    return f"{left_out}attackers with {more}{stronger}"


def checks_of(audited: AuditInputs, curves: Mapping[str, Roc]) -> list[Check]:
    """All preflight checks that the given columns allow."""
    target, keep, labels, units = audited.target.predictions, audited.target.keep, audited.target.labels, audited.units
    of_record, member = units.of_record, audited.target.member
    checks: list[Check | None] = [
        preflight.sizes(units.n_members, units.n_nonmembers, units.name),
        preflight.blind_labels(labels, member, of_record),
        *_checks_of_inputs(audited),
        *preflight.blind_order({k: v[keep] for k, v in target.order.items()}, member, of_record),
        preflight.inverted_scores(curves, _without_direction(audited, curves)),
        *_checks_of_answers(audited),
        _masked(audited, curves),
        _promised(audited, curves),
        _left_out(target),
        audited.target.people,
        *_checks_of_shadow(audited),
        *audited.attacks.checks,
    ]
    if audited.references is not None:
        checks += _checks_of_references(audited, audited.references)
        played = {name: curve for name, curve in curves.items() if name in audited.references.attacks.scores}
        people = target.subjects is not None  # whose rates are of another kind than records'
        checks.append(None if people else ceiling(audited.references.observed, keep, played))
    elif audited.is_in is not None:
        checks.append(preflight.reference_counts(audited.is_in[:, keep], member, of_record))
    checks += [Check("columns", Validity.VALID, note) for note in target.notes]
    return [check for check in checks if check is not None]


def _checks_of_inputs(audited: AuditInputs) -> list[Check | None]:
    """Whether inputs tell the sides apart, or stand on both."""
    side, of_record = audited.target, audited.units.of_record
    if side.predictions.inputs is None:
        return []
    inputs = getattr(side.predictions.inputs, "loc", side.predictions.inputs)[side.keep]
    return [
        preflight.blind_inputs(inputs, side.labels, side.member, of_record, audited.options.seed),
        *preflight.duplicates(inputs, side.member, of_record),
    ]


def _without_direction(audited: AuditInputs, curves: Mapping[str, Roc]) -> list[str]:
    """Attacks whose scores do not say how members are coded."""
    played = [attack for attack in audited.selection.attacks if attack.name in curves and attack.monotone]
    finer = any(attack.access != "label" for attack in played)
    # Right or wrong is a coarse cut through the confidence: steadier answers change how often it is passed.
    with_direction = {attack.name for attack in played if not (finer and attack.access == "label")}
    return [name for name in curves if name not in with_direction]


def _checks_of_answers(audited: AuditInputs) -> list[Check | None]:
    """Whether labels and answers fit, and answers of different records differ."""
    side, target, of_record = audited.target, audited.target.predictions, audited.units.of_record
    keep, member, observed = side.keep, side.member, side.observed
    checks: list[Check | None] = []
    if observed.predicted is not None:
        predicted = observed.predicted[keep]
        checks.append(preflight.accuracy_below_chance(predicted, side.labels, member, of_record, target.n_classes))
        checks.append(preflight.unrecognised_classes(predicted, side.labels, member, of_record, target.class_name))
    if observed.row_hashes is not None:
        checks.append(preflight.equal_predictions(observed.row_hashes[keep], member, of_record))
    same = observed.predicted if observed.row_hashes is None else observed.row_hashes
    checks.append(None if same is None else preflight.constant_answers(same[keep]))
    return [*checks, preflight.rounded_probabilities(observed.rounding)]


def _masked(audited: AuditInputs, curves: Mapping[str, Roc]) -> Check | None:
    observed, keep, units = audited.target.observed, audited.target.keep, audited.units
    n_told, lead, of_lead = observed.n_told, observed.lead, None
    if lead is not None:
        leads = units.score(lead[keep])
        of_lead = roc(leads[units.member], leads[~units.member])
    told = curves.get("max_confidence"), curves.get("correctness")
    kept = None if n_told is None else n_told[keep]
    return preflight.masked_answers(*told, kept, audited.target.predictions.n_classes, lead=of_lead)


def _promised(audited: AuditInputs, curves: Mapping[str, Roc]) -> Check | None:
    """Whether attacks find more than differential privacy allows, of records or of people."""
    privacy, subjects = audited.privacy, audited.target.predictions.subjects
    if privacy is None or not math.isfinite(privacy.epsilon):
        return None
    most = 1 if subjects is None else int(np.unique(subjects, return_counts=True)[1].max())
    promise = f"epsilon {privacy.epsilon:.3g} at delta {privacy.delta:.2g}"
    if most > 1:
        promise += f" for a record, and of people up to {most:,} are there"
    return preflight.promised_privacy(curves, for_people(privacy.most_tpr, most), promise)


def promised_in_turn(audited: AuditInputs, of_draws: Mapping[str, Mapping[int, Roc]]) -> Check | None:
    """Say the same of every model in turn, one of each draw, because training sets of one draw decide each other.

    Their units are counted together: that trainings of other draws say nothing of each other, though they share the
    models that score them, is taken to be so.

    Args:
        audited: What was audited.
        of_draws: By attack and number of the draw, the ROC of one of its models.
    """
    found = _promised(audited, {attack: pooled(list(curves.values())) for attack, curves in of_draws.items()})
    if found is None:
        return None
    n = max(len(curves) for curves in of_draws.values())
    message = f"Of {n} models together, one of each draw of training sets: {found.message}"
    return replace(found, name="promised_privacy_in_turn", message=message)


def _checks_of_shadow(audited: AuditInputs) -> list[Check | None]:
    """Whether the shadow model's records are fit, and whether one with records of its own behaves like the target."""
    shadow, target = audited.shadow, audited.target
    if shadow is None:
        return []
    check = _left_out(shadow.predictions)
    if check is not None:
        check = replace(check, name=f"shadow_{check.name}", message=f"In the shadow's records: {check.message}")
    checks = [check]
    if not audited.n_references:
        checks.append(preflight.shadow_overlap(target.predictions.ids, shadow.predictions.ids))
        theirs, own = shadow.observed.losses, target.observed.losses
        if theirs is not None and own is not None:
            models = ((own, target), (theirs, shadow))
            of_target, of_shadow = (
                preflight.behaviour(losses[side.keep], side.member, side.units.of_record) for losses, side in models
            )
            checks.append(preflight.shadow_training(of_target, [of_shadow]))
    return checks


def _checks_of_references(audited: AuditInputs, references: ReferenceScores) -> list[Check | None]:
    """Whether the reference models' training sets are what they are said to be, and tell nothing by their numbers."""
    seen, side = references.observed, audited.target
    keep, member, of_record = side.keep, side.member, side.units.of_record
    is_in, phi, shadow_phi = seen.is_in[:, keep], seen.phi[keep, 0], seen.shadow_phi[:, keep, 0]
    checks = [
        preflight.reference_counts(seen.of_target().is_in[:, keep], member, of_record),
        preflight.reference_membership(phi, member, shadow_phi, is_in, of_record),
    ]
    if not references.by_forgetting:  # such models began where the target ended, and are meant to differ
        models = zip([phi, *shadow_phi], [member, *is_in], strict=True)
        with np.errstate(invalid="ignore"):  # where a model did not answer
            own, *theirs = (preflight.behaviour(losses_from_phi(p), inside, of_record) for p, inside in models)
        checks.append(preflight.shadow_training(own, theirs))
    return checks


def _left_out(predictions: Predictions) -> Check | None:
    if predictions.subjects is None:
        return None
    mixed = on_both_sides(predictions.subjects, predictions.member)
    return preflight.subjects_on_both_sides(np.unique(predictions.subjects[mixed]).size, int(np.count_nonzero(mixed)))


def threat_models_of(audited: AuditInputs) -> tuple[ThreatModel, ...]:
    """Say what each attack saw and knew."""
    by_source = ("train", "data") if audited.source == "shadow" else ("members",)
    by_forgetting = audited.references is not None and audited.references.by_forgetting
    played = {one.attack.name: one for one in audited.attacks.played}
    models = []
    for attack in (attack for attack in audited.selection.attacks if attack.name in played):
        one = played[attack.name]
        has_thresholds = bool(audited.known) and attack.name in audited.known_scores
        known = {*attack.knowledge, *(by_source if has_thresholds else ())}
        reads_references = attack.needs_references or "shadow_signed_distances" in attack.reads
        known |= {"model"} if reads_references and by_forgetting else set()
        if one.learned_on:
            of_half = one.learned_on == "known_half"
            known = (known | {"members"}) if of_half else (known - {"members"}) | {"train", "data"}
        words = tuple(word for word in KNOWLEDGE if word in known)
        feature = f"{attack.definition}; {_OF_HALF}" if np.isnan(one.scores).any() else attack.definition
        models.append(
            ThreatModel(
                attack=attack.name,
                interface=attack.access,
                feature=feature,
                knowledge=words,
                n_queries=one.n_queries,
                source=attack.source,
            )
        )
    return tuple(models)


def adversary_of(audited: AuditInputs) -> Adversary:
    """Say who was played."""
    answers = {
        "gradients": "the probabilities of every class and the gradients of the parameters",
        "confidence": "the probabilities of every class",
        "loss": "the loss of the true class",
        "label": "the predicted class only",
    }[audited.access]
    n_references = audited.n_references
    if audited.n_sources > 1:
        knowledge = f"{audited.n_sources} source models"
        words = f"has trained {audited.n_sources} models like it on records of its own"
    elif n_references:
        knowledge = "records and recipe"
        words = f"has {n_references} models like it, and knows which of these records each was trained on"
        if audited.references is not None and audited.references.by_forgetting:
            knowledge = "records, recipe and parameters"
            words = f"has {n_references} models that began with its parameters and were trained on other records"
    elif audited.source == "shadow":
        knowledge, words = "one shadow model", "has trained one shadow model on records of its own"
    else:
        knowledge, words = "known half", "knows the membership of half of the records and attacks the other half"
    n_queries = audited.n_queries
    how_often = "one answer" if n_queries == 1 else f"{n_queries} answers"
    most = max((one.n_queries for one in audited.attacks.played if one.attack.asks_copies), default=0)
    how_often += f" (and up to {most:,} labels of inputs like it per attack)" if most else ""
    sentence = f"Sees {answers}, {how_often} a record, and {words}; {not_tested_of(audited)} were not tested."
    return Adversary(audited.access, knowledge, n_references, sentence)


def not_run_of(audited: AuditInputs) -> tuple[NotRun, ...]:
    """List what was left out and what it needs."""
    left_out = audited.selection.left_out
    why = {left.attack: left for left in audited.attacks.not_run}
    if audited.access == "label":  # models were there, or could be: what is missing first is what the model answers
        by_models = {a.name for a in audited.selection.attacks if a.needs_references and a.access != "label"}
        why |= {
            n: replace(why[n], needs=f"access to probabilities, and {why[n].needs}") for n in by_models & why.keys()
        }
    missing = [left for left in why.values() if left.attack not in audited.scores]
    missing += [NotRun(name, _LEFT_OUT) for name in left_out]
    missing += [NotRun(name, _NOT_ASKED) for name in audited.selection.unasked]
    if "modified_entropy" in left_out:
        missing.append(NotRun("privacy_risk_score", "modified_entropy, which was left out on request"))
    elif "modified_entropy" not in audited.scores or "modified_entropy" not in audited.known_scores:
        missing.append(NotRun("privacy_risk_score", "probabilities or logits of every class"))
    without = [name for name in audited.scores if name not in audited.known_scores]
    of_models = {attack.name for attack in audited.attacks.attacks if attack.needs_references}
    for name in without:
        needs = _MORE_MODELS if name in of_models else "the same outputs from the shadow model"
        missing.append(NotRun(f"{name} (thresholds)", needs))
    if not audited.known:
        missing.append(NotRun("thresholds", f"a shadow model, or at least 2 {audited.units.name}s on each side"))
    return tuple(missing)


_OF_HALF = "learnt from one half of the records, which it does not score"
_MORE_MODELS = "more models with known members, of which one plays the target"
_LEFT_OUT = "to be asked for: it was left out on request"
_NOT_ASKED = "to be asked for by name: it learns from known members"


_version = functools.cache(metadata.version)  # it searches the folders of all packages each time


def provenance_of(audited: AuditInputs) -> Provenance:
    """Say what the numbers stand on, without paths or names."""
    options = audited.options
    return Provenance(
        vestige_version=_version("vestige"),
        versions={
            "python": sys.version.split()[0],
            **{name: _version(name) for name in ("numpy", "scipy", "scikit-learn", "pandas", "pyarrow")},
        },
        seed=options.seed,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        target_digest=audited.target.observed.digest,
        shadow_digest="" if audited.shadow is None else audited.shadow.observed.digest,
        reference_digest="" if audited.references is None else audited.references.digest,
        n_records=audited.target.predictions.n_records,
        n_left_out=int(np.count_nonzero(~audited.target.keep)),
        options=options.as_text(),
        attacks=audited.selection.asked,
        learnt=tuple(one.learnt for one in audited.attacks.played if one.learnt is not None),
        likelihood_ratio={} if audited.references is None else audited.references.asked.as_text(),
        definitions={
            **_DEFINITIONS,
            **({} if audited.references is None else audited.references.definitions),
            **{one.attack.name: one.definition for one in audited.attacks.played if one.definition},
            "attacks": audited.selection.definition,
        },
    )


_DEFINITIONS: Mapping[str, str] = {
    "score": "higher = more likely a member, for every attack",
    "interval": "95 %, for this model over records or subjects; not over training runs",
    "auc": "P(member scores higher than nonmember) + P(tie)/2; score interval with DeLong's variance",
    "tpr_at_fpr": "last point of the tie-safe ROC with FPR <= f, no interpolation: without ties its true FPR averages "
    "(floor(f n) + 1) / (n + 1); the threshold's uncertainty inside",
    "probabilities": "as given; a row may miss 1 by 1e-4, or rounded to d decimals by K/2 units of the last (LIMITED), "
    "or in half precision by twice its rounding (LIMITED)",
    "logarithms": "of given probabilities log max(p, 1e-30) (Song & Mittal 2021), so exact 0 and 1 are ordinary; of "
    "logits exact",
    "resolution": "a rate f needs at least 10 expected false positives, n_nonmembers * f >= 10",
    "balanced_accuracy": "(TPR + TNR) / 2, sides normalised separately",
    "knowledge": "train, data, label, model: Choquette-Choo et al. 2021, table 3; members: of other records; "
    "thresholds per class: label too",
    "global and per_class": "Song & Mittal 2021: first observed known score with the best balanced accuracy, member "
    "iff score >= t",
    "strict": "Choquette-Choo et al. 2021: highest distinct known score with the best balanced accuracy, member iff "
    "score > t",
    "known_half": "random halves of the units, stratified by membership; each is known while the other is attacked; "
    "attacks that learn do so from one of them and are scored on the other alone, on which the privacy risk score is "
    "counted too",
    "oracle": "best threshold on the target itself: optimistic, no interval; p-value of Kolmogorov-Smirnov",
    "worst": "largest over attacks (thresholds, groups), bounds simultaneous by Bonferroni",
    "p_value": "max-T permutation of units (people: of equally many records, scores centred and scaled per number) "
    "over all attacks, by AUC and by members among the top share, and twice that share, of all units; attacks that "
    "learnt from half of the units on the other half, both tests combined by Bonferroni",
    "risk": "Song & Mittal 2021: prior * h_in / (prior * h_in + (1 - prior) * h_out) of modified entropy in log bins "
    "per class; "
    "one unit more on each side of a bin, unless arithmetic is published",
    "subject": "its records' mean (or maximum) score; class thresholds: against the mean of its records' thresholds; "
    "compared with subjects of as many records where the sides differ in numbers",
    "leak shown": "familywise p <= 0.05",
    "no leak shown": "not shown, FPR 0.01 resolvable, and the worst attack's upper bound there at most 5 %",
}
