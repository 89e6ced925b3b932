"""The parts of a result that are said in words: checks, adversary, what was not run, provenance, definitions."""

import functools
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata

import numpy as np

from vestige.auditing.results.case import Case
from vestige.core.options import Options
from vestige.core.predictions import Predictions
from vestige.core.result import Adversary, Check, NotRun, Provenance, ThreatModel, Validity
from vestige.core.signal import KNOWLEDGE
from vestige.evaluation import preflight
from vestige.evaluation.roc import Roc
from vestige.evaluation.units import on_both_sides
from vestige.signals.losses import losses_from_phi


def not_tested_of(case: Case) -> str:
    """Say which stronger attackers were not played."""
    left_out = "attacks that were left out on request and " if case.selection.left_out else ""
    compared = {attack.name for attack in case.selection.attacks if "is_in" in attack.reads or attack.needs_references}
    if not compared & set(case.scores):
        return f"{left_out}attackers with reference models"
    stronger = " or access to the parameters" if "gradient_norm" not in case.scores else ""
    if case.selection.access_of(case.scores) == "label":
        stronger = ", access to probabilities or to the parameters"
    return f"{left_out}attackers with more queries{stronger}"


def checks_of(case: Case, curves: Mapping[str, Roc]) -> list[Check]:
    """All preflight checks that the given columns allow."""
    target, keep, units = case.target, case.keep, case.units
    of_record, member = units.of_record, case.member
    checks: list[Check | None] = [preflight.sizes(units.n_members, units.n_nonmembers, units.name)]
    checks.append(preflight.blind_labels(case.labels, member, of_record))
    if target.inputs is not None:
        inputs = target.inputs[keep] if not hasattr(target.inputs, "loc") else target.inputs.loc[keep]
        checks.append(preflight.blind_inputs(inputs, case.labels, member, of_record, case.options.seed))
        checks.extend(preflight.duplicates(inputs, member, of_record))
    checks.extend(preflight.blind_order({k: v[keep] for k, v in target.order.items()}, member, of_record))
    played = [attack for attack in case.selection.attacks if attack.name in curves]
    finer = any(attack.monotone and attack.access != "label" for attack in played)
    # Right or wrong is a coarse cut through the confidence: steadier answers change how often it is passed.
    with_direction = {a.name for a in played if a.monotone and not (finer and a.access == "label")}
    without_direction = [name for name in curves if name not in with_direction]
    checks.append(preflight.inverted_scores(curves, without_direction))
    if case.observed.predicted is not None:
        predicted = case.observed.predicted[keep]
        checks.append(preflight.accuracy_below_chance(predicted, case.labels, member, of_record, target.n_classes))
        checks.append(preflight.unrecognised_classes(predicted, case.labels, member, of_record, target.class_name))
    if case.observed.row_hashes is not None:
        checks.append(preflight.equal_predictions(case.observed.row_hashes[keep], member, of_record))
    checks.append(preflight.rounded_probabilities(case.observed.decimals))
    checks.append(_left_out(target))
    checks.append(case.people)
    if case.shadow is not None:
        check = _left_out(case.shadow)
        if check is not None:
            check = replace(check, name=f"shadow_{check.name}", message=f"In the shadow's records: {check.message}")
        checks.append(check)
        if not case.n_references:
            checks.append(preflight.shadow_overlap(target.ids, case.shadow.ids))
            checks.append(_like_the_shadow(case))
    if case.references is not None:
        seen = case.references.observed
        is_in, phi, shadow_phi = seen.is_in[:, keep], seen.phi[keep, 0], seen.shadow_phi[:, keep, 0]
        checks.extend(case.references.checks)
        checks.append(preflight.reference_counts(is_in, member, of_record))
        checks.append(preflight.reference_membership(phi, member, shadow_phi, is_in, of_record))
        if not case.references.by_forgetting:  # such models began where the target ended, and are meant to differ
            models = zip([phi, *shadow_phi], [member, *is_in], strict=True)
            with np.errstate(invalid="ignore"):  # where a model did not answer
                own, *theirs = (preflight.behaviour(losses_from_phi(p), inside, of_record) for p, inside in models)
            checks.append(preflight.shadow_training(own, theirs))
    elif case.labels_asked.is_in is not None:
        checks.append(preflight.reference_counts(case.labels_asked.is_in[:, keep], member, of_record))
    checks.extend(case.labels_asked.checks)
    checks += [Check("columns", Validity.VALID, note) for note in target.notes]
    return [check for check in checks if check is not None]


def _like_the_shadow(case: Case) -> Check | None:
    """Whether the one shadow model, which has records of its own, behaves like the target."""
    if case.shadow is None or case.shadow_keep is None or case.shadow_losses is None or case.observed.losses is None:
        return None
    kept, subjects = case.shadow_keep, case.shadow.subjects
    units = None if subjects is None else np.unique(subjects[kept], return_inverse=True)[1]
    return preflight.shadow_training(
        preflight.behaviour(case.observed.losses[case.keep], case.member, case.units.of_record),
        [preflight.behaviour(case.shadow_losses[kept], case.shadow.member[kept], units)],
    )


def _left_out(predictions: Predictions) -> Check | None:
    if predictions.subjects is None:
        return None
    mixed = on_both_sides(predictions.subjects, predictions.member)
    return preflight.subjects_on_both_sides(np.unique(predictions.subjects[mixed]).size, int(np.count_nonzero(mixed)))


def threat_models_of(case: Case) -> tuple[ThreatModel, ...]:
    """Say what each attack saw and knew."""
    by_source = ("train", "data") if case.source == "shadow" else ("members",)
    models = []
    for attack in case.selection.attacks:
        if attack.name in case.scores:
            has_thresholds = bool(case.known) and attack.name in case.known_scores
            known = {*attack.knowledge, *(by_source if has_thresholds else ())}
            if attack.name in case.learnt.learnt_from:
                of_halves = case.learnt.learnt_from[attack.name] == "known_half"
                known = (known | {"members"}) if of_halves else (known - {"members"}) | {"train", "data"}
            if attack.needs_references and case.references is not None and case.references.by_forgetting:
                known |= {"model"}
            words = tuple(word for word in KNOWLEDGE if word in known)
            n_queries = (
                n_queries_of(case) if attack.needs_references else case.labels_asked.n_queries.get(attack.name, 1)
            )
            learnt = f"; {_OF_HALF}" if np.isnan(case.scores[attack.name]).any() else ""
            models.append(
                ThreatModel(attack.name, attack.access, f"{attack.definition}{learnt}", words, n_queries, attack.source)
            )
    return tuple(models)


def n_queries_of(case: Case) -> int:
    """Queries about one record that attacks with reference models make."""
    return 1 if case.references is None else case.references.observed.phi.shape[1]


def adversary_of(case: Case, access: str) -> Adversary:
    """Say who was played."""
    answers = {
        "gradients": "the probabilities of every class and the gradients of the parameters",
        "confidence": "the probabilities of every class",
        "loss": "the loss of the true class",
        "label": "the predicted class only",
    }[access]
    n_references = case.n_references
    if n_references:
        knowledge = "records and recipe"
        words = f"has {n_references} models like it, and knows which of these records each was trained on"
        if case.references is not None and case.references.by_forgetting:
            knowledge = "records, recipe and parameters"
            words = f"has {n_references} models that began with its parameters and were trained on other records"
    elif case.source == "shadow":
        knowledge, words = "one shadow model", "has trained one shadow model on records of its own"
    else:
        knowledge, words = "known half", "knows the membership of half of the records and attacks the other half"
    n_queries = n_queries_of(case)
    how_often = "one answer" if n_queries == 1 else f"{n_queries} answers"
    most = max(case.labels_asked.n_queries.values(), default=0)
    how_often += f" (and up to {most:,} labels of inputs like it)" if most else ""
    sentence = f"Sees {answers}, {how_often} a record, and {words}; {not_tested_of(case)} were not tested."
    return Adversary(access, knowledge, n_references, sentence)


def not_run_of(case: Case) -> tuple[NotRun, ...]:
    """List what was left out and what it needs."""
    left_out = case.selection.left_out
    with_references = () if case.references is None else case.references.not_run
    why = {
        left.attack: left
        for left in (*case.observed.not_run, *with_references, *case.learnt.not_run, *case.labels_asked.not_run)
    }
    missing = [left for left in why.values() if left.attack not in case.scores]
    missing += [NotRun(name, _LEFT_OUT) for name in left_out]
    missing += [NotRun(name, _NOT_ASKED) for name in case.selection.unasked]
    if "modified_entropy" in left_out:
        missing.append(NotRun("privacy_risk_score", "modified_entropy, which was left out on request"))
    elif "modified_entropy" not in case.scores or "modified_entropy" not in case.known_scores:
        missing.append(NotRun("privacy_risk_score", "probabilities or logits of every class"))
    without = [name for name in case.scores if name not in case.known_scores]
    missing += [NotRun(f"{name} (thresholds)", "the same outputs from the shadow model") for name in without]
    if not case.known:
        missing.append(NotRun("thresholds", f"a shadow model, or at least 2 {case.units.name}s on each side"))
    return tuple(missing)


_OF_HALF = "learnt from one half of the records, which it does not score"
_LEFT_OUT = "to be asked for: it was left out on request"
_NOT_ASKED = "to be asked for by name: it learns from known members"


def options_as_text(options: Options) -> dict[str, str | int | float]:
    """Return the options as a run holds them."""
    return {name: _plain(getattr(options, name)) for name in Options.__dataclass_fields__}


def _plain(value: str | int | float) -> str | int | float:
    """An option as TOML and JSON can hold it: a member of an enumeration by its name."""
    return str(value) if isinstance(value, str) else value


_version = functools.cache(metadata.version)  # it searches the folders of all packages each time


def provenance_of(case: Case) -> Provenance:
    """Say what the numbers stand on, without paths or names."""
    options = case.options
    return Provenance(
        vestige_version=_version("vestige"),
        versions={
            "python": sys.version.split()[0],
            **{name: _version(name) for name in ("numpy", "scipy", "scikit-learn", "pandas", "pyarrow")},
        },
        seed=options.seed,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        target_digest=case.observed.digest,
        shadow_digest=case.shadow_digest,
        reference_digest="" if case.references is None else case.references.digest,
        n_records=case.target.n_records,
        n_left_out=int(np.count_nonzero(~case.keep)),
        options=options_as_text(options),
        attacks=case.selection.asked,
        likelihood_ratio={} if case.references is None else case.references.asked.as_text(),
        definitions={
            **_DEFINITIONS,
            **({} if case.references is None else case.references.definitions),
            **case.learnt.definitions,
            **case.labels_asked.definitions,
            "attacks": case.selection.definition,
        },
    )


_DEFINITIONS: Mapping[str, str] = {
    "score": "higher = more likely a member, for every attack",
    "interval": "95 %, for this model over records or subjects; not over training runs",
    "auc": "P(member scores higher than nonmember) + P(tie)/2; score interval with DeLong's variance",
    "tpr_at_fpr": "last point of the tie-safe ROC with FPR <= f, no interpolation: without ties its true FPR averages "
    "(floor(f n) + 1) / (n + 1); the threshold's uncertainty inside",
    "probabilities": "as given; a row may miss 1 by 1e-4, or rounded to d decimals by K/2 units of the last (LIMITED)",
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
