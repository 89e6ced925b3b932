"""Attacks that learn from known members, as an audit plays them: on half of its own records, or on a shadow model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec

import numpy as np

from vestige.auditing.scoring.observation import whole_signals
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
from vestige.core.result import NotRun
from vestige.core.seeds import stream
from vestige.evaluation.units import Units, halves


@dataclass(frozen=True, eq=False)
class Side:
    """One model's records as they are evaluated.

    Attributes:
        predictions: All that was given of it.
        keep: Which records are evaluated; what follows is of them.
        labels: Classes in the target's coding.
        units: Records or people.
        classes_in: For each of the target's classes its column in the predictions; None if they are the same.
        asked: What was asked besides, by labels, of all given records: signals by name.
    """

    predictions: Predictions
    keep: np.ndarray
    labels: np.ndarray
    units: Units
    classes_in: np.ndarray | None = None
    asked: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def member(self) -> np.ndarray:
        """Side of each record."""
        side: np.ndarray = self.predictions.member[self.keep]
        return side

    @property
    def kept(self) -> dict[str, np.ndarray]:
        """What was asked besides, of the records that are evaluated."""
        return {name: values[self.keep] for name, values in self.asked.items()}


@dataclass(frozen=True, eq=False)
class LearntScores:
    """What the attacks that learn give.

    Attributes:
        scores: Score of each of the target's records, per attack; NaN where it was learnt from.
        known_scores: Scores of the records on which thresholds are set, per attack; for some there are none.
        learnt_from: Per attack, `shadow` or `known_half`.
        not_run: Attacks that could not be played, and what they need.
        definitions: By attack, how it was played where there are two ways.
    """

    scores: Mapping[str, np.ndarray]
    known_scores: Mapping[str, np.ndarray]
    learnt_from: Mapping[str, str]
    not_run: tuple[NotRun, ...]
    definitions: Mapping[str, str] = field(default_factory=dict)


def learnt_scores(
    attacks: Sequence[Attack], target: Side, shadow: Side | None, options: Options, progress: Progress
) -> LearntScores:
    """Play those of the attacks that learn; none scores a record by what has seen its membership.

    Networks learn from the shadow model where there is one. Else, and if it needs the target's own nonmembers or its
    gradients, an attack learns from one half of the target's records and scores the other alone; the halves are those
    that thresholds are set on.

    Raises:
        InputError: The outputs are not what they are said to be.
    """
    wanted = [attack for attack in attacks if attack.learns]
    if not wanted:
        return LearntScores({}, {}, {}, ())
    ours = whole_signals(target.predictions, target.keep, target.labels, options.arithmetic) | target.kept
    theirs = {} if shadow is None else _signals_of_shadow(shadow, options)
    scores, known_scores, learnt_from, not_run, definitions = {}, {}, {}, [], {}
    for done, attack in enumerate(wanted):
        progress("learning from known members", done, len(wanted))
        definition = ""
        if "gradients" in attack.reads:
            attack, definition = _with_branches(attack, target.predictions.n_classes)
        own = {name.removeprefix("known_") for name in attack.reads if name != "known_member"}
        from_shadow = shadow is not None and "known_member" in attack.reads and own <= set(theirs)
        try:
            if from_shadow:
                assert shadow is not None
                found = _from_shadow(attack, own, ours, theirs, shadow, options.seed)
                known_scores[attack.name] = found.known_scores
            else:
                found = _from_half(attack, own, ours, target, options.seed)
                if shadow is None:
                    known_scores[attack.name] = found.known_scores
                elif "known_member" not in attack.reads and theirs:
                    known_scores[attack.name] = _of_shadow(attack, own, theirs, shadow, options.seed)
        except InputError as error:  # such as too few known members
            not_run.append(NotRun(attack.name, what_is_needed(str(error))))
            continue
        scores[attack.name] = found.scores
        learnt_from[attack.name] = "shadow" if from_shadow else "known_half"
        if definition:
            definitions[attack.name] = definition
    return LearntScores(scores, known_scores, learnt_from, tuple(not_run), definitions)


def _with_branches(attack: Attack, n_classes: int) -> tuple[Attack, str]:
    """An attack that reads gradients, with a network that has a branch for them where torch is installed."""
    if find_spec("torch") is None:
        return attack, "one network for all features side by side, because torch is not installed"
    from vestige.training.white_box_network import WhiteBoxNetwork

    score = partial(attack.score, classifier=WhiteBoxNetwork(n_classes))
    return replace(attack, score=score), "a network with a branch for each kind of feature, filters over the gradients"


def _signals_of_shadow(shadow: Side, options: Options) -> dict[str, np.ndarray]:
    found = whole_signals(shadow.predictions, shadow.keep, shadow.predictions.labels[shadow.keep], options.arithmetic)
    if shadow.classes_in is not None:
        for name in {"probabilities", "log_probabilities"} & set(found):
            found[name] = found[name][:, shadow.classes_in]
    return found | {"labels": shadow.labels} | shadow.kept


def _from_shadow(
    attack: Attack,
    own: set[str],
    ours: Mapping[str, np.ndarray],
    theirs: Mapping[str, np.ndarray],
    shadow: Side,
    seed: int,
) -> Learnt:
    fold = folds_of(shadow.units, stream(seed, "folds of the shadow"))
    signals, shadow_signals = ({name: side[name] for name in own} for side in (_having(own, ours), theirs))
    return learnt_from_shadow(partial(attack.score, **attack.options), signals, shadow_signals, shadow.member, fold)


def _of_shadow(attack: Attack, own: set[str], theirs: Mapping[str, np.ndarray], shadow: Side, seed: int) -> np.ndarray:
    """Scores of all of the shadow's records by its own nonmembers: thresholds are set on them, nothing is tested."""
    one, other = (_from_half(attack, own, theirs, shadow, seed, turned=turned).scores for turned in (False, True))
    return np.where(np.isnan(one), other, one)


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
        return learnt_from_half(
            partial(attack.score, **attack.options),
            {name: _having(own, signals)[name] for name in own},
            side.member,
            known,
            fold,
        )
    if "population_losses" in attack.reads:
        return attack_p_from_half(_having({"losses"}, signals)["losses"], side.member, known, fold)
    inputs = side.predictions.inputs
    if inputs is not None:
        inputs = inputs[side.keep] if not hasattr(inputs, "loc") else inputs.loc[side.keep]
    n_classes = max(side.predictions.n_classes, int(side.labels.max()) + 1)
    return quantile_regression_from_half(
        partial(attack.score, seed=seed, subjects=units.of_record, **attack.options),
        _having({"phi"}, signals)["phi"],
        regression_features(inputs, side.labels, n_classes),
        side.member,
        known,
    )


def _having(names: set[str], signals: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """The signals, if all of these are there."""
    missing = sorted(names - set(signals))
    if missing:
        words = {
            "correct": "a model that is asked for labels of copies of each record: Translations or Rotations",
            "gradients": "access to the gradients of the last layer",
            "labels": "labels",
        }
        raise InputError(f"Expected {words.get(missing[0], 'probabilities or logits of every class')}, found none.")
    return signals
