"""How well attacks find the members of models under a defence, each in turn the target."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from vestige.attacks.empirical_bayes import empirical_bayes_online
from vestige.auditing.comparison.family import Family
from vestige.auditing.comparison.over_records import Measure, area, rate
from vestige.auditing.references.phi import ReferencePhi, fewest_on_a_side, left_without
from vestige.auditing.references.scores import learnt_of, play_attacks
from vestige.auditing.references.ways_of_lira import decided
from vestige.core.attack import Attack
from vestige.core.likelihood_ratio import LikelihoodRatio
from vestige.evaluation.intervals import is_resolvable
from vestige.evaluation.roc import Roc, roc
from vestige.signals.losses import losses_from_phi

GAP = "correctness"
"""The attack that calls members what the model is right about; its area is 1/2 + gap / 2."""
ATTACKS = ("loss", "lira_online", "empirical_bayes_online", "learnt_ratio", "nn_nasr", "forest_memguard")
"""What is played beside the gap attack, unless other attacks are asked for; the last two learn from known members."""
FPRS = (0.01, 0.001)
RATE = "tpr_at_fpr_0.01"
RATIO = "empirical_bayes_online"
"""The attack by which records are judged one at a time."""
WORST = 0.01
"""Share of the records that are the most at risk."""

_FEWEST = 8  # models from which on a half of them tells risks and the other half judges


def of_pairs(values: Mapping[int, float], draws: Mapping[int, int]) -> dict[int, float]:
    """Return the mean of each pair: training sets of its two models decide each other."""
    found: dict[int, list[float]] = {}
    for model, value in values.items():
        found.setdefault(draws[model], []).append(value)
    return {draw: float(np.mean(of_draw)) for draw, of_draw in found.items()}


class Scored(NamedTuple):
    """What an attack says of one model.

    Attributes:
        attack: Its name.
        model: Number of the model.
        scores: Of each record; higher means member.
        side: Whether the model was trained on it.
    """

    attack: str
    model: int
    scores: Float[np.ndarray, " record"]
    side: Bool[np.ndarray, " record"]


def scores_in_turn(
    targets: Family, shadows: Family, attacks: Sequence[Attack], learnt: dict[int, dict[str, Any]] | None = None
) -> Iterator[Scored]:
    """Attack each model of a family by models of the same or another one.

    The adversary reads the target's defended answers, and those of the shadow models; it never reads models that were
    drawn together with the target.

    Args:
        targets: Models that are attacked.
        shadows: Models of the adversary: those of the same family for one that adapts, undefended ones for one that
            does not know the defence.
        attacks: Attacks on losses, and on reference models.
        learnt: What attacks learnt from the same shadow models beside each target, by its number: it does not depend on
            the target. What is missing is entered.

    Yields:
        What each attack says of each model.
    """
    likelihood = LikelihoodRatio() if shadows.observed is None else decided(shadows.observed, LikelihoodRatio())[0]
    of_models, known = [a for a in attacks if a.needs_references], {} if learnt is None else learnt
    place_in_shadows = {int(number): place for place, number in enumerate(shadows.numbers)}
    for place, number in enumerate(targets.numbers.tolist()):
        side = targets.is_in[place]
        yield Scored(GAP, number, targets.correct[place].astype(np.float64), side)
        if targets.observed is None:
            continue
        own = {name: values[place] for name, values in _of_models(targets.observed).items()}
        phi = own["phi"][:, 0]
        losses = losses_from_phi(phi)
        alone = {"phi": phi, "losses": losses, "p_true": np.exp(-losses)}
        for attack in attacks:
            if not attack.needs_references and set(attack.reads) <= set(alone):
                yield Scored(attack.name, number, attack.play(alone), side)
        if shadows.observed is None or number not in place_in_shadows:
            continue
        others = left_without(shadows.observed, place_in_shadows[number])
        if fewest_on_a_side(shadows.is_in[others]) < 1:
            continue
        seen = shadows.observed.with_target(place_in_shadows[number], others)
        seen = replace(seen, answers={**seen.answers, **own})
        if number not in known:
            known[number] = learnt_of(of_models, seen)
        scores, _ = play_attacks(of_models, seen, likelihood, known[number])
        for name, of_records in scores.items():
            yield Scored(name, number, of_records, side)


def curve_of(scored: Scored) -> Roc:
    """Return the ROC of one model."""
    return roc(scored.scores[scored.side], scored.scores[~scored.side])


def measures_of(scored: Scored, curve: Roc) -> dict[str, Measure]:
    """Return how well an attack finds the members of one model, by metric; of the gap attack the area alone."""
    found = {"auc": area(curve, scored.scores, scored.side)}
    for fpr in FPRS if scored.attack != GAP else ():
        if is_resolvable(fpr, curve.n_nonmembers):
            found[f"tpr_at_fpr_{fpr:g}"] = rate(curve, fpr, scored.scores, scored.side)
    return found


def _of_models(observed: ReferencePhi) -> dict[str, np.ndarray]:
    """What each model itself answered, under the names of a target's signals."""
    names = {name: name.removeprefix("shadow_") for name in observed.answers if name.startswith("shadow_")}
    return {own: observed.answers[name] for name, own in names.items()}


def halves_of(family: Family) -> Bool[np.ndarray, " model"] | None:
    """Return which models are of the first half of the pairs; None with fewer than 8 models, or labels alone."""
    if family.observed is None or len(family.numbers) < _FEWEST or np.isnan(family.observed.shadow_phi[:, :, 0]).any():
        return None
    draws = np.unique(family.draws)
    first: Bool[np.ndarray, " model"] = np.isin(family.draws, draws[: draws.size // 2])
    return first


def rates_of_the_worst(family: Family) -> Iterator[tuple[int, Measure, Measure]]:
    """Measure how many members are found at 1 % FPR among the records most at risk, and among all.

    The records are chosen on the first half of the pairs of models, by how much surer they are with the record
    than without it. The other half judges: each of its models in turn is attacked by the empirical-Bayes ratio with
    the rest of that half. So no record is among the worst by chance.

    Yields:
        Number of the model, and both rates; nothing with fewer than 8 models, or labels alone.
    """
    chooses = halves_of(family)
    if chooses is None or family.observed is None or not is_resolvable(FPRS[0], _fewest_out(family)):
        return
    if fewest_on_a_side(family.is_in[chooses]) < 1:
        return
    phi = family.observed.shadow_phi[:, :, 0]
    inside, outside = (
        np.where(side, phi[chooses], 0.0).sum(axis=0) / side.sum(axis=0)
        for side in (family.is_in[chooses], ~family.is_in[chooses])
    )
    at_risk = inside - outside  # few models know no spread of a record's own
    n_worst = max(1, round(WORST * at_risk.size))
    worst = np.zeros(at_risk.size, dtype=bool)
    worst[np.argsort(-at_risk, kind="stable")[:n_worst]] = True
    for place in np.flatnonzero(~chooses).tolist():
        others = ~chooses & (family.draws != family.draws[place])
        side = family.is_in[place]
        if fewest_on_a_side(family.is_in[others]) < 1 or not (worst & side).any():
            continue
        scores = empirical_bayes_online(phi[place], phi[others], family.is_in[others])
        curve = roc(scores[side], scores[~side])
        of_worst, of_all = (rate(curve, FPRS[0], scores, side, those) for those in (worst, None))
        yield int(family.numbers[place]), of_worst, of_all


def _fewest_out(family: Family) -> int:
    return int((~family.is_in).sum(axis=1).min())
