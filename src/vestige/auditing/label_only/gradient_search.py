"""Distances to the decision boundary by gradients: the idealised baseline of Choquette-Choo et al. 2021, 3.4."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from vestige.auditing.label_only.probe import Probe, all_records, score
from vestige.auditing.label_only.question import LabelQuestion, LabelResults
from vestige.auditing.label_only.searches import not_found
from vestige.auditing.played import Played, PlayedAttacks
from vestige.core.inputs import InputSpace
from vestige.core.records import Records
from vestige.core.targets import MarginTarget
from vestige.signals.boundary import Descent, carlini_wagner

WHITE_BOX = "white_box_distance"


@dataclass(frozen=True)
class GradientSearch(Probe, Descent):
    """The way from every record to the nearest input of another class, along the gradients: `access="gradients"` alone.

    No label-only attack: it shows what those that are fall short of. Records must be what the module takes, in
    fractions, such as images divided by 255.

    Attributes:
        n_steps: As of `Descent`.
        n_searches: As of `Descent`.
        learning_rate: As of `Descent`.
        weight: As of `Descent`.

    Example:
        >>> GradientSearch(n_steps=100).n_queries
        501
    """

    @property
    def attacks(self) -> tuple[str, ...]:
        """`white_box_distance`."""
        return (WHITE_BOX,)

    @property
    def n_queries(self) -> int:
        """Queries about each record at most: one about itself, and one in every step."""
        return 1 + self.n_steps * self.n_searches

    def n_queries_of(self, pool: Records, space: InputSpace, wanted: Collection[str]) -> int:
        """Return `n_queries`."""
        return self.n_queries

    def play(self, question: LabelQuestion) -> LabelResults:
        """Search the target, and the first shadow model, on which thresholds are set."""
        attack, shadows = question.wanted[WHITE_BOX], question.trained_on_halves
        assert question.margins is not None  # settings without access to gradients are refused
        source = None
        if shadows is not None and shadows.margins is not None:
            for model in shadows.margins():
                question.progress("following gradients of a shadow model", 0, 1)
                source = self._search(model, question.about_shadows)
                break
        question.progress("following gradients of the target", 0, 1)
        distances = self._search(question.margins(WHITE_BOX), question)
        played = Played(
            attack=attack,
            scores=score(attack, distances),
            known_scores=None if source is None else score(attack, source),
            n_queries=self.n_queries,
            definition=f"L2 in the units of the inputs, by Carlini & Wagner's attack, {self.n_searches} searches of at "
            f"most {self.n_steps:,} steps",
        )
        checks = tuple(not_found(WHITE_BOX, np.isinf(distances)))
        return LabelResults(attacks=PlayedAttacks(played=(played,), checks=checks))

    def _search(self, model: MarginTarget, question: LabelQuestion) -> np.ndarray:
        pool = question.pool
        bounds = question.space.bounds(pool.inputs)
        return carlini_wagner(model, pool.inputs, pool.labels, all_records(pool), bounds, self)
