"""Attacks with reference models: from what these answered to scores of the target and of one of themselves."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from vestige.attacks import CATALOGUE
from vestige.auditing.played import Played, PlayedAttacks
from vestige.auditing.references.phi import (
    OF_QUERIES,
    Imitated,
    ReferencePhi,
    fewest_on_a_side,
    left_without,
    reference_phi,
)
from vestige.auditing.references.plain_scores import plain_signals, with_plain_scores
from vestige.auditing.references.ways_of_lira import decided, ways_of_lira
from vestige.core.attack import Attack
from vestige.core.digests import digest_of_columns
from vestige.core.drawn_together import remaining
from vestige.core.errors import InputError
from vestige.core.likelihood_ratio import Counts, LikelihoodRatio, Queries, Statistic, Variance
from vestige.core.messages import few, what_is_needed
from vestige.core.outputs import GradientNorms, Phi
from vestige.core.predictions import Predictions
from vestige.core.references import References
from vestige.core.result import Check, NotRun, Validity
from vestige.signals.privacy_score import privacy_score

_MANY_SATURATED = 0.01  # share of certain answers from which on they are worth a warning
_DIGESTED = {
    "phi": "shadow_phi",
    "member": "is_in",
    "target": "phi",
    "population": "population_shadow_phi",
    "target's population": "population_phi",
    "gradient norms": "shadow_gradient_norms",
    "largest": "shadow_max_log_p",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class ReferenceScores:
    """What reference models add to an audit.

    Attributes:
        observed: What they and the target answered.
        attacks: Attacks with reference models as they were played; thresholds are set on the shadow model's scores, for
            which its own answers and its partner's are not used.
        shadow: The answers of one of the models, with its own members. None if none answered all.
        asked: How LiRA was asked to be played.
        likelihood: How it is: with the variance that finds more members of the models, where that was left open.
        definitions: How the scores were made where there are two ways.
        by_forgetting: Whether the models began with the target's weights.
    """

    observed: ReferencePhi
    attacks: PlayedAttacks
    shadow: Predictions | None
    asked: LikelihoodRatio
    likelihood: LikelihoodRatio
    definitions: Mapping[str, str]
    by_forgetting: bool = False

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what they answered and of their training sets."""
        answers = self.observed.answers
        return digest_of_columns({name: answers[signal] for name, signal in _DIGESTED.items() if signal in answers})

    @cached_property
    def privacy_score(self) -> np.ndarray | None:
        """How far apart each record's IN and OUT models are in the statistic, of the first query; None with too few."""
        seen = self.observed
        if fewest_on_a_side(seen.is_in) < 2 or np.isnan(seen.shadow_phi).any():
            return None
        return privacy_score(seen.signals["shadow_statistic"][:, :, 0], seen.is_in)

    @property
    def n_models(self) -> int:
        """How many there are."""
        return len(self.observed.is_in)


def score_with(
    references: References,
    target: Predictions,
    attacks: Sequence[Attack] = CATALOGUE,
    checks: Sequence[Check] = (),
    likelihood: LikelihoodRatio | None = None,
    imitators: Imitated | None = None,
) -> ReferenceScores:
    """Score the target, and one reference model as if it were the target, by what the others answered.

    The model that is left out takes those along whose training sets were drawn together with its own, because what
    remains would otherwise tell by its numbers alone which records it was trained on.

    Args:
        references: What the reference models answered.
        target: What the target answered.
        attacks: Which attacks; those that need something else are passed over.
        checks: What is known of the models beside their answers.
        likelihood: How LiRA is played; the defaults if omitted.
        imitators: What imitators answered about the target's records; None if there are none.

    Raises:
        InputError: Records, classes or answers of target and references do not fit, or not the statistic of LiRA.
    """
    observed = reference_phi(references, target, Statistic((likelihood or LikelihoodRatio()).statistic))
    observed = with_plain_scores(observed, references, target, attacks)
    if imitators is not None:  # certain answers stand where those of the other models do
        clipped = np.clip(imitators.phi, -observed.limit, observed.limit)
        observed = replace(observed, imitators=replace(imitators, phi=clipped))
    shadow_of = partial(as_shadow, references, observed, target)
    scored = score_observed(observed, shadow_of, attacks, checks, likelihood)
    told = dict(scored.definitions)
    if imitators is not None:
        told["imitators"] = (
            f"{len(imitators.is_in)} of the target and as many of {len(imitators.models)} shadow models, each trained "
            "on labels and on what the imitated model answered"
        )
    if references.training:  # tells attacks by forgetting from those with models of new weights
        told["training of the references"] = references.training
    return replace(scored, definitions=told, by_forgetting=references.by_forgetting)


def score_observed(
    observed: ReferencePhi,
    shadow_of: Callable[[int], Predictions],
    attacks: Sequence[Attack] = CATALOGUE,
    checks: Sequence[Check] = (),
    likelihood: LikelihoodRatio | None = None,
) -> ReferenceScores:
    """Score as `score_with` does, with answers that were brought to phi before.

    Args:
        observed: What target and reference models answered.
        shadow_of: Gives one reference model's answers, on which thresholds are then set.
        attacks: As of `score_with`.
        checks: As of `score_with`.
        likelihood: As of `score_with`.
    """
    asked = likelihood or LikelihoodRatio()
    attacks = [attack for attack in attacks if attack.needs_references]
    how, chosen, more = decided(observed, asked)
    of_target = observed.of_target()
    learnt = learnt_of(attacks, of_target)
    fewest = fewest_on_a_side(of_target.is_in)
    scores, not_run = play_attacks(attacks, of_target, how, learnt)
    first = next((i for i in range(len(observed.is_in)) if not np.isnan(observed.shadow_phi[i]).any()), None)
    known_scores, shadow = {}, None
    if first is not None and observed.is_in[first].any() and not observed.is_in[first].all():
        shadow = shadow_of(first)
        others = left_without(observed, first)
        # Else there are records that hardly anything is known of: thresholds from such scores would be of another kind.
        if fewest_on_a_side(observed.is_in[others]) >= 2:
            known_scores = play_attacks(attacks, observed.with_target(first, others), how)[0]
    n_queries = observed.phi.shape[1]
    played = [
        Played(
            attack=a,
            scores=scores[a.name],
            known_scores=known_scores.get(a.name),
            n_queries=n_queries,
            learnt=None if a.name not in learnt else learnt[a.name].summary(a.name),
        )
        for a in attacks
        if a.name in scores
    ]
    checks_of_all = (*checks, *_checks(observed), *_missing_answers(observed, not_run), *more)
    return ReferenceScores(
        observed=observed,
        attacks=PlayedAttacks(played=tuple(played), not_run=not_run, checks=checks_of_all),
        shadow=shadow,
        asked=asked,
        likelihood=how,
        definitions={"reference models": _definition(observed, fewest, how, chosen, first), **_definitions(how)},
    )


def play_attacks(
    attacks: Sequence[Attack],
    observed: ReferencePhi,
    likelihood: LikelihoodRatio,
    learnt: Mapping[str, Any] | None = None,
) -> tuple[dict[str, np.ndarray], tuple[NotRun, ...]]:
    """Play attacks that read what models with known members answered.

    Without records of a population the audited ones stand for it: whose members they are is not looked at. Where an
    attack has no word on several queries, its scores of single ones are averaged. An attack that learns from the models
    does so, unless what it `learnt` is given by its name.

    Returns:
        Scores by name, and the attacks of ours that could not be played.

    Raises:
        InputError: A custom attack failed.
    """
    scores, not_run = {}, []
    nobody_in = not observed.is_in.any(axis=0).all()
    for attack in attacks:
        if nobody_in and "is_in" not in attack.reads:  # a mean over all models would be one over OUT models
            not_run.append(NotRun(attack.name, "models that were trained on each record"))
            continue
        try:
            scores[attack.name] = _score(attack, observed, likelihood, (learnt or {}).get(attack.name))
        except InputError as error:  # such as too few models on one side of some record
            if attack.name not in _OURS and attack.calibrates is None:
                raise  # a custom attack that fails ends the audit by its name
            not_run.append(NotRun(attack.name, what_is_needed(str(error))))
    return scores, tuple(not_run)


def learnt_of(attacks: Sequence[Attack], observed: ReferencePhi) -> dict[str, Any]:
    """Return what attacks learn from the models by name; an attack that cannot says so when it is played."""
    learnt = {}
    for attack in attacks:
        if attack.fit is not None and set(attack.reads) <= set(observed.signals):
            provided = {"groups": observed.groups, "subjects": observed.subjects}
            taken = {name: value for name, value in provided.items() if name in attack.takes}
            with suppress(InputError):
                learnt[attack.name] = attack.learn(observed.signals, **taken)
    return learnt


def _score(attack: Attack, observed: ReferencePhi, likelihood: LikelihoodRatio, learnt: Any = None) -> np.ndarray:
    if attack.calibrates is not None:
        return attack.play(plain_signals(attack, observed))
    if not set(attack.reads) <= set(observed.signals):
        raise InputError(f"Expected {attack.needs}, found none.")
    if not set(attack.reads) & set(OF_QUERIES):
        given = {"groups": observed.groups, "subjects": observed.subjects, "fitted": learnt}
        provided = {name: value for name, value in given.items() if name in attack.takes}
        provided |= ways_of_lira(likelihood) if "statistic" in attack.reads else {}
        return attack.play(observed.signals, **provided)
    of_queries = [attack.play(observed.of_query(query)) for query in range(observed.phi.shape[1])]
    return np.asarray(sum(of_queries) / len(of_queries))


_OURS = {attack.name for attack in CATALOGUE}
_OF_PHI = {attack.name for attack in CATALOGUE if {"shadow_phi", "shadow_query_phi"} & set(attack.reads)}
_DEFINITIONS = {
    "empirical_bayes": "normal-inverse-gamma priors fitted across records by moments, shape 4, for any models",
    "base_score, attack_r, calibration_loss": "on log p of the true class; offline with the power 0.33; ties count",
    "calibration_confidence": "on the log of the largest probability, whatever the true class (Watson et al., eq. 3)",
    "learnt_ratio": "each shadow model in turn as the target, without those drawn with it, gives rows; weights "
    "of a ridge logistic regression on them (provenance.learnt in report.json)",
    "rmia": "gamma 1, >; population: other records that all models were asked about, or else the audited ones",
    "privacy_score": "of records: |mean of IN phi - mean of OUT phi| / (std of IN + std of OUT)",
    "saturation": "answers of exactly 0 or 1 stand log 2 beyond the largest other phi: half the smallest probability",
}


def partners_of(is_in: np.ndarray, groups: np.ndarray | None) -> np.ndarray | None:
    """Which model is left out with each, -1 for none; None if several are."""
    partner = np.full(len(is_in), -1)
    for model in range(len(is_in)):
        gone = ~remaining(is_in, groups, model)
        gone[model] = False
        if gone.sum() > 1:
            return None
        if gone.any():
            partner[model] = gone.argmax()
    return partner


def as_shadow(references: References, observed: ReferencePhi, target: Predictions, model: int) -> Predictions:
    """One reference model's answers to the records as they are, with its own members."""
    if references.kind is Phi:
        answers = observed.shadow_phi[model, :, 0]  # without infinities
    else:
        answers = next(a for i, a in enumerate(references.models()) if i == model)[observed.order]
        answers = answers if answers.ndim == 2 else answers[:, 0]
    outputs = [references.kind(answers)]
    if "shadow_gradient_norms" in observed.answers:
        outputs.append(GradientNorms(observed.answers["shadow_gradient_norms"][model]))
    return Predictions(
        outputs, labels=target.labels, member=observed.is_in[model], subjects=target.subjects, classes=target.classes
    )


def _checks(observed: ReferencePhi) -> list[Check]:
    checks = [] if observed.by_id else [Check("reference_ids", Validity.LIMITED, _BY_ORDER, _GIVE_IDS)]
    if observed.halves is not None:
        message = (
            f"Every record is in exactly half of all {len(observed.is_in) + 1} models: a member has one IN model fewer "
            "than a nonmember. So one model of the larger side, drawn for each record, is left out, and counts tell "
            "nothing. Each model is also played as the target in this way."
        )
        checks.append(Check("exact_halves", Validity.VALID, message))
    n_in, n_out = observed.is_in.sum(axis=0), (~observed.is_in).sum(axis=0)
    one_sided = int(((n_in == 0) != (n_out == 0)).sum()) if n_in.any() else 0  # none IN at all is a design
    if one_sided:
        checks.append(
            Check(
                "records_on_one_side",
                Validity.LIMITED,
                f"{one_sided:,} of {n_in.size:,} records are in all or in none of the {len(observed.is_in)} reference "
                "models: attacks that compare both sides cannot judge them.",
                "Leave these records out, or train more models.",
            )
        )
    if observed.n_saturated:
        share = observed.n_saturated / observed.n_answers
        many = share > _MANY_SATURATED
        checks.append(
            Check(
                "saturated_answers",
                Validity.LIMITED if many else Validity.VALID,
                f"{observed.n_saturated:,} of {observed.n_answers:,} answers of target and reference models are "
                f"exactly 0 or 1: their phi was put at {observed.limit:.4g} and its negative, log 2 beyond all others.",
                "Save logits, or probabilities with more digits, where the model has them." if many else "",
            )
        )
    return checks


def _missing_answers(observed: ReferencePhi, not_run: Sequence[NotRun]) -> list[Check]:
    """Say what models did not answer, and which attacks that cost."""
    missing = np.isnan(observed.shadow_phi).any(axis=2)
    others = int(np.isnan(observed.answers["population_shadow_phi"]).any(axis=2).sum())
    if not missing.any() and not others:
        return []
    message = (
        f"{int(missing.sum()):,} of {missing.size:,} answers of reference models about audited records are missing "
        f"({int(missing.any(axis=1).sum())} models, {int(missing.any(axis=0).sum()):,} records)"
    )
    message += f", and {others:,} about other records" if others else ""
    fell = [left.attack for left in not_run if left.attack in _OF_PHI]
    cost = f": {few(fell, 10)} could not be played, and may be stronger than what was"
    cure = "Ask the models again, or leave these models or records out." if fell else ""
    message += cost if fell else "; attacks do without them"
    return [Check("missing_answers", Validity.LIMITED if fell else Validity.VALID, f"{message}.", cure)]


def _definition(
    observed: ReferencePhi, fewest: int, likelihood: LikelihoodRatio, chosen: str, first: int | None
) -> str:
    words = (
        f"{_STATISTICS[Statistic(likelihood.statistic)]}; Gaussians around the {likelihood.center} of {fewest} models "
        f"or more on each side, {_SPREADS[Variance(str(likelihood.variance))]} standard deviation{chosen}"
    )
    if likelihood.counts is Counts.SMALLEST:
        words += ", of as many models as every record has (published code)"
    if observed.phi.shape[1] > 1:
        joint = likelihood.queries is Queries.FULL_COVARIANCE
        how = (
            "with one Gaussian over all of them for LiRA, scores averaged otherwise"
            if joint
            else "scores averaged over them"
        )
        words += f"; {observed.phi.shape[1]} queries a record, {how}"
    if first is not None:
        words += f"; thresholds from reference model {first}, scored without itself{_along(observed, first)}"
    return words


def _along(observed: ReferencePhi, model: int) -> str:
    """Who is left out with a model, in words."""
    size = 2 if observed.groups is None else int((observed.groups == observed.groups[model]).sum())
    if size == 1:
        return ""
    return " and its partner" if size == 2 else f" and the {size - 1} models drawn with it"


def _definitions(likelihood: LikelihoodRatio) -> dict[str, str]:
    center = "means of models, not medians" if likelihood.center == "mean" else "medians of models, not means"
    floor = "" if likelihood.min_std == LikelihoodRatio().min_std else f", at least {likelihood.min_std:g}"
    lira = f"{center}; standard deviations around the means, not corrected for the number of models{floor}"
    found = {"lira": lira, **_DEFINITIONS}
    if likelihood.statistic != Statistic.LOGIT:
        found["privacy_score"] = found["privacy_score"].replace(
            "phi", _OF_PRIVACY_SCORE[Statistic(likelihood.statistic)]
        )
    return found


_STATISTICS = {
    Statistic.LOGIT: "phi = log(p / (1 - p)) of the true class",
    Statistic.HINGE: "LiRA on the true class's logit less the largest other, other attacks on phi = log(p / (1 - p))",
    Statistic.LOSS: "LiRA on log p of the true class, other attacks on phi = log(p / (1 - p))",
}
_OF_PRIVACY_SCORE = {Statistic.HINGE: "the logits' difference", Statistic.LOSS: "loss"}
_SPREADS = {
    Variance.PER_RECORD: "their own",
    Variance.POOLED: "one pooled residual",
    Variance.PUBLISHED_FIXED: "one raw, of the IN models (published code),",
}


_BY_ORDER = "Reference models' answers have no ids: they were matched with the audited records by their order."
_GIVE_IDS = "Give ids of both: another order of the records would look like no leak."
