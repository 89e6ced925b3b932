"""The parts of a result that are said in words: checks, adversary, what was not run, provenance, definitions."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata

import numpy as np

from vestige.auditing.results.case import Case
from vestige.core.attack import KNOWLEDGE
from vestige.core.options import Options
from vestige.core.predictions import Predictions
from vestige.core.result import Adversary, Check, NotRun, Provenance, ThreatModel, Validity
from vestige.evaluation import preflight
from vestige.evaluation.roc import Roc


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
    checks.append(preflight.inverted_scores(curves))
    if case.observed.predicted is not None:
        predicted = case.observed.predicted[keep]
        checks.append(preflight.accuracy_below_chance(predicted, case.labels, member, of_record, target.n_classes))
    if case.observed.row_hashes is not None:
        checks.append(preflight.equal_predictions(case.observed.row_hashes[keep], member))
    checks.append(preflight.rounded_probabilities(case.observed.decimals))
    checks.append(_left_out(target, keep))
    if case.shadow is not None and case.shadow_keep is not None:
        check = _left_out(case.shadow, case.shadow_keep)
        if check is not None:
            check = replace(check, name=f"shadow_{check.name}", message=f"In the shadow's records: {check.message}")
        checks.append(check)
        if not case.n_references:
            checks.append(preflight.shadow_overlap(_as_text(target.ids), _as_text(case.shadow.ids)))
    if case.references is not None:
        checks.extend(case.references.checks)
        checks.append(preflight.reference_counts(case.references.observed.is_in[:, keep], member, of_record))
    elif case.labels_asked.is_in is not None:
        checks.append(preflight.reference_counts(case.labels_asked.is_in[:, keep], member, of_record))
    checks.extend(case.labels_asked.checks)
    checks += [Check("columns", Validity.VALID, note) for note in target.notes]
    return [check for check in checks if check is not None]


def _as_text(ids: np.ndarray | None) -> np.ndarray | None:
    """Ids to compare between files: one may hold them as numbers, the other as text."""
    return None if ids is None else ids.astype(np.str_)


def _left_out(predictions: Predictions, keep: np.ndarray) -> Check | None:
    n_records = int(np.count_nonzero(~keep))
    n_subjects = 0 if predictions.subjects is None or not n_records else np.unique(predictions.subjects[~keep]).size
    return preflight.subjects_on_both_sides(n_subjects, n_records)


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
            models.append(ThreatModel(attack.name, attack.access, attack.definition, words, n_queries, attack.source))
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


_LEFT_OUT = "to be asked for: it was left out on request"
_NOT_ASKED = "to be asked for by name: it learns from known members"


def _plain(value: str | int | float) -> str | int | float:
    """An option as TOML and JSON can hold it: a member of an enumeration by its name."""
    return str(value) if isinstance(value, str) else value


def provenance_of(case: Case) -> Provenance:
    """Say what the numbers stand on, without paths or names."""
    options = case.options
    return Provenance(
        vestige_version=metadata.version("vestige"),
        versions={
            "python": sys.version.split()[0],
            **{name: metadata.version(name) for name in ("numpy", "scipy", "scikit-learn", "pandas", "pyarrow")},
        },
        seed=options.seed,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        target_digest=case.observed.digest,
        shadow_digest=case.shadow_digest,
        reference_digest="" if case.references is None else case.references.digest,
        n_records=case.target.n_records,
        n_left_out=int(np.count_nonzero(~case.keep)),
        options={name: _plain(getattr(options, name)) for name in Options.__dataclass_fields__},
        attacks=case.selection.asked,
        likelihood_ratio={} if case.references is None else case.references.asked.as_text(),
        definitions={
            **_DEFINITIONS,
            **({} if case.references is None else case.references.definitions),
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
    "logarithms": "of given probabilities log max(p, 1e-30) (P1), so exact 0 and 1 are ordinary; of logits exact",
    "resolution": "a rate f needs at least 10 expected false positives, n_nonmembers * f >= 10",
    "balanced_accuracy": "(TPR + TNR) / 2, sides normalised separately",
    "knowledge": "train, data, label, model: P3, table 3; members: of other records; thresholds per class: label too",
    "global and per_class": "P1: first observed known score with the best balanced accuracy, member iff score >= t",
    "strict": "P3: highest distinct known score with the best balanced accuracy, member iff score > t",
    "known_half": "random halves of the units, stratified by membership; each is known while the other is attacked",
    "oracle": "best threshold on the target itself: optimistic, no interval; p-value of Kolmogorov-Smirnov",
    "worst": "largest over attacks (thresholds, groups), bounds simultaneous by Bonferroni",
    "p_value": "max-T permutation of units over all attacks, by AUC and by members among the top share of all units",
    "risk": "P1: prior * h_in / (prior * h_in + (1 - prior) * h_out) of modified entropy in log bins per class; "
    "one unit more on each side of a bin, unless arithmetic is published",
    "subject": "its records' mean (or maximum) score; class thresholds: against the mean of its records' thresholds",
    "leak shown": "familywise p <= 0.05",
    "no leak shown": "not shown, FPR 0.01 resolvable, and the worst attack's upper bound there at most 5 %",
}
