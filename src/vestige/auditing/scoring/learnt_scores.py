"""Attacks that learn from known members, as an audit plays them: on half of its own records, or on a shadow model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec

import numpy as np

from vestige.auditing.played import Played, PlayedAttacks
from vestige.auditing.scoring.observation import Observed, whole_signals
from vestige.auditing.scoring.trained_attacks import (
    Learnt,
    attack_p_from_half,
    folds_of,
    learnt_from_half,
    learnt_from_shadow,
    quantile_regression_from_half,
    regression_features,
)
from vestige.core.attack import Attack
from vestige.core.errors import InputError
from vestige.core.messages import what_is_needed
from vestige.core.options import Options
from vestige.core.predictions import Predictions
from vestige.core.progress import Progress
from vestige.core.result import Check, NotRun
from vestige.core.seeds import stream
from vestige.evaluation.units import Units, halves


@dataclass(frozen=True, kw_only=True, eq=False)
class Side:
    """One model's records as they are evaluated.

    Attributes:
        predictions: All that was given of it.
        keep: False for records of subjects that are on both sides, or without anybody on the other side who has as many
            records; what follows is of the others.
        labels: Classes in the target's coding.
        units: Records or people.
        observed: What one pass over all given answers gave.
        classes_in: For each of the target's classes its column in the predictions; None if they are the same.
        people: Whether people on both sides have equally many records; None without subjects.
        label_values: Number that each class stands for, where labels are numbers without names and not all occur.
    """

    predictions: Predictions
    keep: np.ndarray
    labels: np.ndarray
    units: Units
    observed: Observed
    classes_in: np.ndarray | None = None
    people: Check | None = None
    label_values: np.ndarray | None = None

    @property
    def member(self) -> np.ndarray:
        """Side of each record."""
        side: np.ndarray = self.predictions.member[self.keep]
        return side


@dataclass(frozen=True, kw_only=True, eq=False)
class Copies:
    """What was observed of copies of each record, for an attack that learns from it.

    Attributes:
        target: Signals of all given records of the target, by name.
        shadow: The same of the shadow model's; nothing without one.
        n_queries: Queries about each record.
        definition: Which copies, and how their strength was chosen.
    """

    target: Mapping[str, np.ndarray]
    shadow: Mapping[str, np.ndarray]
    n_queries: int
    definition: str


def learnt_scores(
    attacks: Sequence[Attack],
    target: Side,
    shadow: Side | None,
    options: Options,
    progress: Progress,
    copies: Mapping[str, Copies] | None = None,
) -> PlayedAttacks:
    """Play those of the attacks that learn; none scores a record by what has seen its membership.

    Networks learn from the shadow model where there is one. Else, and if it needs the target's own nonmembers or its
    gradients, an attack learns from one half of the target's records and scores the other alone; the halves are those
    that thresholds are set on.

    Args:
        attacks: Those that were asked for.
        target: The audited model's records.
        shadow: The shadow model's; None without one.
        options: What could change a number.
        progress: Told how far it is.
        copies: What was observed of copies, by the name of the attack that reads it.

    Returns:
        Scores of the records that are evaluated.

    Raises:
        InputError: The outputs are not what they are said to be.
    """
    wanted = [attack for attack in attacks if attack.learns]
    if not wanted:
        return PlayedAttacks()
    ours = _signals_of(target, options)
    theirs = {} if shadow is None else _signals_of(shadow, options)
    none = Copies(target={}, shadow={}, n_queries=1, definition="")
    played, not_run = [], []
    for done, attack in enumerate(wanted):
        progress("learning from known members", done, len(wanted))
        asked = (copies or {}).get(attack.name, none)
        definition = asked.definition
        if "gradients" in attack.reads:
            attack, definition = _with_branches(attack, target.predictions.n_classes)
        try:
            of_target, of_shadow = _with_copies(ours, asked.target, target), _with_copies(theirs, asked.shadow, shadow)
            one = _played(attack, of_target, of_shadow, target, shadow, options.seed)
        except InputError as error:  # such as too few known members
            not_run.append(NotRun(attack.name, what_is_needed(str(error))))
        else:
            played.append(replace(one, n_queries=asked.n_queries, definition=definition))
    return PlayedAttacks(played=tuple(played), not_run=tuple(not_run))


def _played(
    attack: Attack,
    ours: Mapping[str, np.ndarray],
    theirs: Mapping[str, np.ndarray],
    target: Side,
    shadow: Side | None,
    seed: int,
) -> Played:
    """Learn from the shadow's records, if all that the attack reads of known members is known of them."""
    own = {name.removeprefix("known_") for name in attack.reads if name != "known_member"}
    members = "known_member" in attack.reads
    if shadow is not None and members and own <= set(theirs):
        fold = folds_of(shadow.units, stream(seed, "folds of the shadow"))
        signals, shadow_signals = ({name: side[name] for name in own} for side in (_having(own, ours), theirs))
        score = partial(attack.score, **attack.options)
        learnt = learnt_from_shadow(score, signals, shadow_signals, shadow.member, fold)
        return Played(attack=attack, scores=learnt.scores, known_scores=learnt.known_scores, learned_on="shadow")
    learnt = _from_half(attack, own, ours, target, seed)
    known = learnt.known_scores if shadow is None else None
    if shadow is not None and not members and theirs:  # all of the shadow's: thresholds are set there, nothing tested
        one, other = (_from_half(attack, own, theirs, shadow, seed, turned=turned).scores for turned in (False, True))
        known = np.where(np.isnan(one), other, one)
    return Played(attack=attack, scores=learnt.scores, known_scores=known, learned_on="known_half")


def _with_branches(attack: Attack, n_classes: int) -> tuple[Attack, str]:
    """An attack that reads gradients, with a network that has a branch for them where torch is installed."""
    if find_spec("torch") is None:
        return attack, "one network for all features side by side, because torch is not installed"
    from vestige.training.white_box_network import WhiteBoxNetwork

    score = partial(attack.score, classifier=WhiteBoxNetwork(n_classes))
    return replace(attack, score=score), "a network with a branch for each kind of feature, filters over the gradients"


def _with_copies(
    signals: Mapping[str, np.ndarray], copies: Mapping[str, np.ndarray], side: Side | None
) -> Mapping[str, np.ndarray]:
    """The signals, and those of copies of the records that are evaluated."""
    return signals if side is None else {**signals, **{name: values[side.keep] for name, values in copies.items()}}


def _signals_of(side: Side, options: Options) -> dict[str, np.ndarray]:
    """What attacks that learn read of the records that are evaluated, classes in the target's coding."""
    given, keep = side.predictions, side.keep
    signals = whole_signals(given, keep, given.labels[keep], options.arithmetic, side.observed.phi_limit)
    if side.classes_in is not None:
        for name in {"probabilities", "log_probabilities"} & set(signals):
            signals[name] = signals[name][:, side.classes_in]
    return signals | {"labels": side.labels}


def _from_half(
    attack: Attack, own: set[str], signals: Mapping[str, np.ndarray], side: Side, seed: int, *, turned: bool = False
) -> Learnt:
    """Learn from the first half, or turned from the second."""
    units = side.units
    first = halves(units, stream(seed, "known halves"))
    fold = folds_of(units, stream(seed, "folds of known halves"), first=first)
    if min(units.n_members, units.n_nonmembers) < 2:
        raise InputError(
            f"Expected at least 2 {units.name}s on each side, one half to learn from and one to score, found "
            f"{units.n_members:,} and {units.n_nonmembers:,}; give more, or a shadow model."
        )
    known = np.asarray(units.of(~first if turned else first))
    if "known_member" in attack.reads:
        given = {name: _having(own, signals)[name] for name in own}
        return learnt_from_half(partial(attack.score, **attack.options), given, side.member, known, fold)
    if "population_losses" in attack.reads:
        return attack_p_from_half(_having({"losses"}, signals)["losses"], side.member, known, fold)
    inputs = side.predictions.inputs
    if inputs is not None:
        inputs = inputs[side.keep] if not hasattr(inputs, "loc") else inputs.loc[side.keep]
    n_classes = max(side.predictions.n_classes, int(side.labels.max()) + 1)
    features = regression_features(inputs, side.labels, n_classes)
    regression = partial(attack.score, seed=seed, subjects=units.of_record, **attack.options)
    return quantile_regression_from_half(regression, _having({"phi"}, signals)["phi"], features, side.member, known)


def _having(names: set[str], signals: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """The signals, if all of these are there."""
    missing = sorted(names - set(signals))
    if missing:
        words = {
            "correct": "a model that is asked for labels of copies of each record: Translations or Rotations",
            "copy_distances": "a model that is asked for distances of copies of each record: CombinedDistances",
            "gradients": "access to the gradients of the last layer",
            "labels": "labels",
        }
        raise InputError(f"Expected {words.get(missing[0], 'probabilities or logits of every class')}, found none.")
    return signals
