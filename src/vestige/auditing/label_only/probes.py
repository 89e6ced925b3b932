"""What label-only attacks ask: copies of every record, or its way to the decision boundary, at a strength to be chosen.

Each kind is a frozen value that says how many queries it costs and asks them. What is made of the answers, on shadow
models first and then on the target, is in `scores`.
"""

from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.core.attack import Attack
from vestige.core.errors import InputError
from vestige.core.inputs import InputSpace
from vestige.core.records import Records
from vestige.core.targets import LabelTarget
from vestige.signals.boundary import BUDGETS, CHECKPOINTS, Settled, Starts, distances_of_copies, surfree
from vestige.signals.boundary import BoundaryDistances as Found
from vestige.signals.label_only.noise import NoiseStrength, noise_labels
from vestige.signals.label_only.rotations import angles, rotation_labels
from vestige.signals.label_only.translations import shifts, translated, translation_labels

Rows = Int[np.ndarray, " row"]
"""Numbers of records."""

_FLIPS = (0.005, 0.01, 0.02, 0.05)
_GAUSSIAN = (0.02, 0.05, 0.1, 0.2)


@runtime_checkable
class CopiesOfRecords(Protocol):
    """A kind of copies that a label-only attack asks about."""

    @property
    def attack(self) -> str:
        """The attack that counts them."""

    def strengths(self, pool: Records, space: InputSpace) -> tuple[Any, ...]:
        """Return the strengths to choose from, the weakest first."""

    def n_queries(self, strength: Any) -> int:
        """Return queries per record."""

    def ask(
        self, target: LabelTarget, pool: Records, space: InputSpace, strength: Any, seed: int
    ) -> Bool[np.ndarray, "record copy"]:
        """Return whether each copy of each record gets the record's class."""


@dataclass(frozen=True)
class NoisyCopies:
    """Copies with noise, of the kind that the features allow: Gaussian for numbers, flips for bits and categories.

    Attributes:
        n_draws: Copies of every record.
        choices: Strengths to choose from; usual ones for these features if empty.

    Raises:
        InputError: There is no draw.

    Example:
        >>> NoisyCopies(100).n_queries(NoiseStrength(flips=0.02))
        100
    """

    n_draws: int = 100
    choices: tuple[NoiseStrength, ...] = ()

    def __post_init__(self) -> None:
        if self.n_draws < 1:
            raise InputError(f"Expected at least 1 noisy copy of each record, found {self.n_draws}; 100 is usual.")

    @property
    def attack(self) -> str:
        """`noise_robustness`."""
        return "noise_robustness"

    def strengths(self, pool: Records, space: InputSpace) -> tuple[NoiseStrength, ...]:
        """Return the strengths to choose from."""
        if self.choices:
            return self.choices
        is_binary = space.is_binary(pool.inputs)
        has_text = hasattr(pool.inputs, "columns")
        if not has_text and is_binary.all():
            return tuple(NoiseStrength(flips=p) for p in _FLIPS)
        if not has_text and not is_binary.any():
            return tuple(NoiseStrength(gaussian=s) for s in _GAUSSIAN)
        return tuple(NoiseStrength(gaussian=s, flips=p) for s, p in zip(_GAUSSIAN, _FLIPS, strict=True))

    def n_queries(self, strength: NoiseStrength) -> int:
        """Return `n_draws`."""
        return self.n_draws

    def ask(
        self, target: LabelTarget, pool: Records, space: InputSpace, strength: NoiseStrength, seed: int
    ) -> Bool[np.ndarray, "record draw"]:
        """Ask about the noisy copies; those of a seed are the same for every model."""
        return noise_labels(target, pool.inputs, pool.labels, _all(pool), space, strength, self.n_draws, seed)


@dataclass(frozen=True)
class Translations:
    """Images shifted by up to a number of pixels along the axes, the image itself among them.

    Attributes:
        choices: Distances to choose from [pixels].

    Example:
        >>> Translations().n_queries(2)
        9
    """

    choices: tuple[int, ...] = (1, 2, 3)

    @property
    def attack(self) -> str:
        """`translations`."""
        return "translations"

    def strengths(self, pool: Records, space: InputSpace) -> tuple[int, ...]:
        """Return the distances to choose from."""
        _refuse_no_images(pool, "translations")
        return self.choices

    def n_queries(self, strength: int) -> int:
        """Return `4 d + 1`."""
        return len(shifts(strength))

    def ask(
        self, target: LabelTarget, pool: Records, space: InputSpace, strength: int, seed: int
    ) -> Bool[np.ndarray, "record copy"]:
        """Ask about the shifted images."""
        return translation_labels(target, pool.inputs, pool.labels, _all(pool), strength, axes=_axes(pool))


@dataclass(frozen=True)
class Rotations:
    """Images turned by an angle to either side, and the image itself.

    Attributes:
        choices: Angles to choose from [degrees].
        dense: Whether images are turned by every whole degree up to the angle, instead of by the angle alone.

    Example:
        >>> Rotations().n_queries(4.0), Rotations(dense=True).n_queries(4.0)
        (3, 9)
    """

    choices: tuple[float, ...] = (2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0)
    dense: bool = False

    @property
    def attack(self) -> str:
        """`rotations`."""
        return "rotations"

    def strengths(self, pool: Records, space: InputSpace) -> tuple[float, ...]:
        """Return the angles to choose from."""
        _refuse_no_images(pool, "rotations")
        return self.choices

    def n_queries(self, strength: float | int) -> int:
        """Return 3, or more if dense."""
        return len(angles(strength, dense=self.dense))

    def ask(
        self, target: LabelTarget, pool: Records, space: InputSpace, strength: float | int, seed: int
    ) -> Bool[np.ndarray, "record copy"]:
        """Ask about the turned images."""
        low, high = space.bounds(pool.inputs)
        return rotation_labels(
            target, pool.inputs, pool.labels, _all(pool), strength, dense=self.dense,
            low=float(low.min()), high=float(high.max()), axes=_axes(pool),
        )  # fmt: skip


@dataclass(frozen=True)
class BoundarySearch:
    """The way from every record to the nearest input that the model decides otherwise about.

    Attributes:
        n_queries: Queries about each record at most.
        estimator: `surfree`, or `hop_skip_jump`, from `vestige.signals.boundary`.
        n_references: Shadow models that were not trained on a record, and that its distance is compared with besides:
            `calibrated_boundary_distance`. 0 for no such comparison.

    Raises:
        InputError: Fewer than 0 references.

    Example:
        >>> BoundarySearch(n_queries=500).attack
        'boundary_distance'
    """

    n_queries: int = 1_000
    estimator: Callable[..., Found] = surfree
    n_references: int = 0

    def __post_init__(self) -> None:
        if self.n_references < 0:
            raise InputError(f"Expected 0 or more references of each record, found {self.n_references}; 1 is usual.")

    @property
    def attack(self) -> str:
        """`boundary_distance`."""
        return "boundary_distance"

    @property
    def calibrated(self) -> tuple[str, ...]:
        """The attack that compares with references, if there are to be any."""
        return ("calibrated_boundary_distance",) if self.n_references else ()

    def search(
        self, target: LabelTarget, pool: Records, space: InputSpace, seed: int, rows: Rows | None = None
    ) -> Found:
        """Search from records; other records are where a search starts if noise finds no other class.

        Args:
            target: What answers.
            pool: All records.
            space: What inputs may be.
            seed: Of directions.
            rows: From which of them; all if omitted.

        Returns:
            The distances, signed if they are to be compared with references.

        Raises:
            InputError: The inputs are no array of numbers.
        """
        options = {"signed": True} if self.n_references else {}  # an own estimator need not know the word
        return searched(self.estimator, self.n_queries, target, pool, space, seed, rows, **options)


@dataclass(frozen=True)
class CombinedDistances:
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
    estimator: Callable[..., Found] = surfree

    def __post_init__(self) -> None:
        shifts(self.distance)

    @property
    def attack(self) -> str:
        """`combined_distance`."""
        return "combined_distance"

    @property
    def n_queries_of_record(self) -> int:
        """Queries about each record at most, over its copies."""
        return self.n_queries * len(shifts(self.distance))

    def search(
        self, target: LabelTarget, pool: Records, space: InputSpace, seed: int
    ) -> Float[np.ndarray, "record copy"]:
        """Search from every copy of every record.

        Raises:
            InputError: The inputs are no images, or no larger than the shift.
        """
        _refuse_no_images(pool, "combined distances")
        low, high = space.bounds(pool.inputs)
        copies = translated(pool.inputs, self.distance, axes=_axes(pool))
        return distances_of_copies(
            self.estimator, target, copies, pool.labels, _all(pool), (float(low.min()), float(high.max())),
            n_queries=self.n_queries, seed=seed, starts=Starts(pool.inputs, pool.labels),
        )  # fmt: skip


@dataclass(frozen=True)
class SettledSearch:
    """The way to the boundary, ended for each record as soon as its side of a shadow model's threshold stands.

    Attributes:
        n_queries: Queries about each record at most; most need far fewer.
        estimator: As of `BoundarySearch`.

    Example:
        >>> SettledSearch(n_queries=500).attack
        'settled_boundary_distance'
    """

    n_queries: int = 1_000
    estimator: Callable[..., Found] = surfree

    @property
    def attack(self) -> str:
        """`settled_boundary_distance`."""
        return "settled_boundary_distance"

    def search_source(self, source: LabelTarget, pool: Records, space: InputSpace, seed: int) -> Found:
        """Search to the end of the budget, noted wherever a rule may be fitted.

        Raises:
            InputError: The inputs are no array of numbers.
        """
        budgets = tuple(n for n in sorted({*CHECKPOINTS, *BUDGETS}) if n < self.n_queries) or (self.n_queries,)
        return searched(self.estimator, self.n_queries, source, pool, space, seed, budgets=budgets)

    def search(self, target: LabelTarget, pool: Records, space: InputSpace, seed: int, settled: Settled) -> Found:
        """Search until records are settled.

        Raises:
            InputError: The inputs are no array of numbers.
        """
        return searched(self.estimator, self.n_queries, target, pool, space, seed, settled=settled)


Probe = NoisyCopies | Translations | Rotations | BoundarySearch | CombinedDistances | SettledSearch
"""What a label-only attack asks."""


def searched(
    estimator: Callable[..., Found],
    n_queries: int,
    target: LabelTarget,
    pool: Records,
    space: InputSpace,
    seed: int,
    rows: Rows | None = None,
    **options: Any,
) -> Found:
    """Search from some records of a pool, from all if none are named; a record's numbers are the same either way.

    Raises:
        InputError: The inputs are no array of numbers.
    """
    if hasattr(pool.inputs, "columns"):
        raise InputError(
            "Expected inputs as an array of numbers for boundary distances, found a table with columns; encode it, "
            "or take noisy copies, which change categories to others."
        )
    records = _all(pool) if rows is None else rows
    return estimator(
        target, pool.inputs[records], pool.labels[records], records, space.bounds(pool.inputs),
        n_queries=n_queries, seed=seed, starts=Starts(pool.inputs, pool.labels), **options,
    )  # fmt: skip


RATIO, NETWORK = "label_only_likelihood_ratio", "nn_augmentation"
"""Attacks that read the copies which another one asks about."""


FEWEST = 4
"""Models of a likelihood ratio that leaves one and its partner out."""


def played_with(attacks: Iterable[Attack], n_shadows: int) -> tuple[str, ...]:
    """Return the names of the attacks that so many shadow models allow, as far as queries depend on it."""
    return tuple(attack.name for attack in attacks if attack.name != RATIO or n_shadows >= FEWEST)


def attacks_of(probe: Probe) -> tuple[str, ...]:
    """Return the attacks that read what a probe asks."""
    if isinstance(probe, BoundarySearch):
        return (probe.attack, *probe.calibrated)
    if isinstance(probe, CombinedDistances | SettledSearch):
        return (probe.attack,)
    return (probe.attack, RATIO if isinstance(probe, NoisyCopies) else NETWORK)


def n_queries_of(
    probes: tuple[Probe, ...], pool: Records, space: InputSpace, wanted: Collection[str] | None = None
) -> int:
    """Return the most queries that the target may be asked, over all records.

    Args:
        probes: What is asked.
        pool: The records.
        space: What inputs may be.
        wanted: Attacks that are played; all if omitted. What none of them reads is not asked, and noisy copies are
            asked at a second strength only for a second attack.

    Raises:
        InputError: A kind of copies does not fit the inputs, or a search cannot start from them or with so few queries.
    """
    total = 0
    for probe in probes:
        n_attacks = len([name for name in attacks_of(probe) if wanted is None or name in wanted])
        if not n_attacks:
            continue
        if isinstance(probe, BoundarySearch | SettledSearch):
            _refuse_no_start(probe, pool, space)
            total += probe.n_queries
        elif isinstance(probe, CombinedDistances):
            _refuse_no_images(pool, "combined distances")
            _refuse_no_start(probe, pool, space)
            total += probe.n_queries_of_record
        else:
            copies: CopiesOfRecords = probe
            most = max(copies.n_queries(strength) for strength in copies.strengths(pool, space))
            total += n_attacks * most if isinstance(probe, NoisyCopies) else most
    return total * pool.n_records


class _Silent:
    """A target that is never asked: a search which comes to its first query has nothing against its inputs."""

    def __init__(self, n_classes: int) -> None:
        self.n_classes = n_classes

    def labels(self, inputs: Any, records: Rows) -> Rows:
        raise _ToBeAskedError


class _ToBeAskedError(Exception):
    pass


def _refuse_no_start(
    probe: BoundarySearch | SettledSearch | CombinedDistances, pool: Records, space: InputSpace
) -> None:
    """Refuse what a search would refuse, before anything is paid for."""
    with suppress(_ToBeAskedError):
        searched(probe.estimator, probe.n_queries, _Silent(pool.n_classes), pool, space, 0, np.arange(1))


def _all(pool: Records) -> np.ndarray:
    return np.arange(pool.n_records)


def _axes(pool: Records) -> tuple[int, int]:
    """Where height and width are: after the channels if there are 1 or 3 of these in front and not at the end."""
    shape = pool.inputs.shape
    return (2, 3) if len(shape) == 4 and shape[1] in (1, 3) and shape[3] not in (1, 3) else (1, 2)


def _refuse_no_images(pool: Records, what: str) -> None:
    if hasattr(pool.inputs, "columns") or pool.inputs.ndim not in (3, 4):
        found = "a table" if hasattr(pool.inputs, "columns") else f"shape {pool.inputs.shape}"
        raise InputError(
            f"Expected images, records x height x width (x channels), for {what}, found {found}; take noisy copies."
        )
