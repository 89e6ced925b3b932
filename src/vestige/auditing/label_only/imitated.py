"""Label-only attacks with imitators: what models learn that were trained on the labels of another model's copies."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from vestige.auditing.label_only.probe import FEWEST, IMITATED
from vestige.auditing.label_only.question import LabelQuestion
from vestige.auditing.played import Played, PlayedAttacks
from vestige.auditing.references.phi import Imitated
from vestige.core.drawn_together import remaining
from vestige.core.errors import InputError
from vestige.core.records import Records
from vestige.core.result import Check, NotRun
from vestige.core.targets import LabelTarget
from vestige.signals.label_only.agreement import agreement

WITHOUT_IMITATORS = NotRun(IMITATED, f"at least {FEWEST[IMITATED]} shadow models in pairs, and imitators of the model")
"""What is said where there are none, or the shadow models do not allow it."""

Ask = Callable[[LabelTarget], Bool[np.ndarray, "record copy"]]
"""Asks a model about the copies of every record."""


class Tally:
    """A model that is asked for labels, and how often it gave each class to each record's copies.

    Example:
        >>> class First:
        ...     n_classes = 2
        ...
        ...     def labels(self, inputs, records):
        ...         return inputs[:, 0]
        >>> model = Tally(First(), Records(np.array([[0], [1]]), np.array([0, 1])))
        >>> _ = model.labels(np.array([[0], [1], [1]]), np.array([0, 0, 1]))
        >>> model.counts.tolist()
        [[1, 1], [0, 1]]
    """

    def __init__(self, target: LabelTarget, pool: Records) -> None:
        self._target = target
        self.n_classes = target.n_classes
        self.counts: Int[np.ndarray, "record class"] = np.zeros((pool.n_records, pool.n_classes), dtype=np.int32)

    def labels(self, inputs: Any, records: Int[np.ndarray, " query"]) -> Int[np.ndarray, " query"]:
        """Ask the model, and count its answers."""
        found = np.asarray(self._target.labels(inputs, records))
        np.add.at(self.counts, (records, found), 1)
        return found


def played_with_imitators(
    question: LabelQuestion,
    own: np.ndarray,
    theirs: np.ndarray,
    *,
    n_queries: int,
    definition: str,
    counts: Int[np.ndarray, "record class"],
    ask: Ask,
) -> PlayedAttacks:
    """Train imitators on the labels of the target's copies, ask them about the same copies, and play the learnt ratio.

    Args:
        question: Of the audit; with imitators, like the rest as of `played_learnt`.
        own: The target's signal of each record.
        theirs: That of every shadow model.
        n_queries: Queries about each record.
        definition: What the signal is.
        counts: How often the target gave each class to the copies of each record.
        ask: Asks a model about these copies.
    """
    attack, shadows = question.wanted[IMITATED], question.shadows
    assert shadows is not None
    found, checks = _imitators(question, counts, ask)
    if found is None:
        return PlayedAttacks(not_run=(WITHOUT_IMITATORS,), checks=checks)
    kept = remaining(shadows.member, shadows.groups, 0)
    first, known, subjects = found.with_target(0, kept), None, question.pool.subjects
    signals = {"agreement": own, "shadow_agreement": theirs, "is_in": shadows.member} | _named(found)
    try:
        learnt = attack.learn(signals, groups=shadows.groups, subjects=subjects)
    except InputError:
        return PlayedAttacks(not_run=(WITHOUT_IMITATORS,), checks=checks)
    if first is not None:  # it is imitated, so that thresholds can be set on it
        of_first = {"agreement": theirs[0], "shadow_agreement": theirs[kept], "is_in": shadows.member[kept]}
        groups = None if shadows.groups is None else shadows.groups[kept]
        with suppress(InputError):
            known = attack.play(of_first | _named(first), groups=groups, subjects=subjects)
    played = Played(
        attack=attack,
        scores=attack.play(signals, groups=shadows.groups, subjects=subjects, fitted=learnt),
        known_scores=known,
        n_queries=n_queries,
        definition=definition,
        learnt=learnt.summary(IMITATED),
    )
    return PlayedAttacks(played=(played,), checks=checks)


def _imitators(question: LabelQuestion, counts: np.ndarray, ask: Ask) -> tuple[Imitated | None, tuple[Check, ...]]:
    """What imitators of the target and of some shadow models answer to the same copies, as a signal."""
    shadows = question.shadows
    assert shadows is not None
    assert shadows.imitators is not None
    imitators, of_models = shadows.imitators, [counts]
    for number, model in shadows.first(int(imitators.models.max()) + 1):
        if number in imitators.models:
            question.progress("asking shadow models for labels to imitate", len(of_models) - 1, imitators.models.size)
            tally = Tally(model, question.pool)
            ask(tally)
            of_models.append(tally.counts)
    trained, checks = imitators.train(of_models)
    signal = np.full((len(trained), *imitators.is_in.shape), np.nan)
    for place, (numbers, copies) in enumerate(trained):
        question.progress("asking imitators for labels", place, len(trained))
        for number, model in zip(numbers, copies.targets(), strict=True):
            signal[place, number] = agreement(ask(model))
    return Imitated(signal, imitators.is_in, imitators.models) if trained else None, checks


def _named(found: Imitated) -> dict[str, np.ndarray]:
    """What imitators answered, as attacks on labels read it."""
    return {name.replace("_phi", "_agreement"): values for name, values in found.signals().items()}
