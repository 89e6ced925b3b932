"""Boundary distances of shifted copies of every image: Choquette-Choo et al. 2021, section 3.4, combined attack."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from vestige.auditing.label_only.probe import Probe, all_records, image_axes, range_of, refuse_no_images, score
from vestige.auditing.label_only.question import LabelQuestion, LabelResults
from vestige.auditing.label_only.searches import FARTHEST, Estimator, name_of, not_found, refuse_no_start
from vestige.auditing.played import Played, PlayedAttacks
from vestige.auditing.scoring.learnt_scores import Copies
from vestige.core.attack import Attack
from vestige.core.inputs import InputSpace
from vestige.core.records import Records
from vestige.core.targets import LabelTarget
from vestige.signals.boundary import Starts, distances_of_copies, surfree
from vestige.signals.label_only.translations import shifts, translated

MEAN, LEARNT = "combined_distance", "nn_combined_distance"


@dataclass(frozen=True)
class CombinedDistances(Probe):
    """Boundary distances of an image and of its shifted copies, each with the whole budget.

    Attributes:
        distance: How far copies are shifted [pixels].
        n_queries: Queries about each copy at most.
        estimator: As of `BoundarySearch`.

    Raises:
        InputError: The distance is below 0.

    Example:
        >>> CombinedDistances(distance=1, n_queries=500).n_queries_of_record
        2500
    """

    distance: int = 1
    n_queries: int = 500
    estimator: Estimator = surfree

    def __post_init__(self) -> None:
        shifts(self.distance)

    @property
    def attacks(self) -> tuple[str, ...]:
        """`combined_distance`, and the classifier per class of the same distances."""
        return (MEAN, LEARNT)

    @property
    def n_queries_of_record(self) -> int:
        """Queries about each record at most, over its copies."""
        return self.n_queries * len(shifts(self.distance))

    def n_queries_of(self, pool: Records, space: InputSpace, wanted: Collection[str]) -> int:
        """Return those of all copies."""
        refuse_no_images(pool, "combined distances")
        refuse_no_start(self.estimator, self.n_queries, pool, space)
        return self.n_queries_of_record

    def play(self, question: LabelQuestion) -> LabelResults:
        """Play the mean of a record's distances, standardised by the first shadow model, and ask for what learns."""
        pool, space, seed, wanted = question.pool, question.space, question.seed, question.wanted
        source = question.of_source(
            lambda model: self.search(model, question.about_shadows.pool, space, seed),
            "searching for the boundary around copies, of a shadow model",
        )
        question.progress("searching for the boundary around copies, of the target", 0, 1)
        distances = self.search(question.target(next(iter(wanted))), pool, space, seed)
        how = (
            f"{distances.shape[1]} copies, shifted by {self.distance} pixels or none; L2 distances by "
            f"{name_of(self.estimator)}, at most {self.n_queries:,} queries a copy; {FARTHEST}"
        )
        robust = np.isinf(distances).any(axis=1)
        checks = tuple(check for name in wanted for check in not_found(name, robust))
        played = (self._mean(wanted[MEAN], distances, source, how),) if MEAN in wanted else ()
        learnt = Copies(
            target={"copy_distances": distances},
            shadow={} if source is None else {"copy_distances": source},
            n_queries=self.n_queries_of_record,
            definition=how,
        )
        return LabelResults(
            attacks=PlayedAttacks(played=played, checks=checks),
            copies={LEARNT: learnt} if LEARNT in wanted else {},
        )

    def _mean(self, attack: Attack, distances: np.ndarray, source: np.ndarray | None, how: str) -> Played:
        by = "the target itself, for want of shadow models" if source is None else "the first shadow model"
        return Played(
            attack=attack,
            scores=score(attack, distances, source_copy_distances=distances if source is None else source),
            known_scores=None if source is None else score(attack, source, source_copy_distances=source),
            n_queries=self.n_queries_of_record,
            definition=f"mean over {how}; standardised by {by}; a threshold in place of the paper's network",
        )

    def search(
        self, target: LabelTarget, pool: Records, space: InputSpace, seed: int
    ) -> Float[np.ndarray, "record copy"]:
        """Search from every copy of every record.

        Raises:
            InputError: The inputs are no images, or no larger than the shift.
        """
        refuse_no_images(pool, "combined distances")
        copies = translated(pool.inputs, self.distance, axes=image_axes(pool))
        return distances_of_copies(
            self.estimator, target, copies, pool.labels, all_records(pool), range_of(pool, space),
            n_queries=self.n_queries, seed=seed, starts=Starts(pool.inputs, pool.labels),
        )  # fmt: skip
