"""A probe: what a label-only attack asks of a model. Each kind is a frozen value in a file of its own."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

import numpy as np

from vestige.attacks.learnt_ratio import FEWEST_MODELS
from vestige.auditing.label_only.question import LabelQuestion, LabelResults, ShadowLabels
from vestige.auditing.played import Played, PlayedAttacks, together
from vestige.core.attack import Attack
from vestige.core.columns import is_sparse
from vestige.core.errors import InputError
from vestige.core.inputs import InputSpace
from vestige.core.records import Records
from vestige.core.result import NotRun

RATIO = "label_only_likelihood_ratio"
"""The attack that any kind of copies, and a boundary search, can feed."""

LEARNT = "label_only_learnt_ratio"
"""The attack that copies can feed, too, where there are more shadow models."""

IMITATED = "label_only_learnt_ratio_with_imitators"
"""The same with imitators: a shadow model that plays the target is judged by the learnt ratio of the others."""

FEWEST = {RATIO: 4, LEARNT: FEWEST_MODELS, IMITATED: FEWEST_MODELS + 2}
"""Models of a ratio that leaves one and its partner out."""


class Probe(ABC):
    """What label-only attacks ask."""

    @property
    @abstractmethod
    def attacks(self) -> tuple[str, ...]:
        """Names of the attacks that read what it asks, its own first."""

    @abstractmethod
    def n_queries_of(self, pool: Records, space: InputSpace, wanted: Collection[str]) -> int:
        """Return the most queries about each record, for some of its attacks.

        Raises:
            InputError: It does not fit the inputs.
        """

    @abstractmethod
    def play(self, question: LabelQuestion) -> LabelResults:
        """Ask the models, and play the attacks that are wanted.

        Raises:
            InputError: It does not fit the inputs.
            TargetError: A model does not answer.
            BudgetError: The target's budget is spent.
        """


def served(probes: Sequence[Probe], wanted: Collection[str]) -> list[tuple[Probe, tuple[str, ...]]]:
    """Return each probe with the attacks that it is asked for: the first that an attack can read serves it.

    Example:
        >>> from vestige.auditing.label_only.translations import Translations
        >>> served([Translations()], ["translations", "loss"])
        [(Translations(choices=(1, 2, 3)), ('translations',))]
    """
    # The ratio reads a search that was asked to feed it; else copies of which it and their count are all that is made.
    by_number = sorted(
        range(len(probes)),
        key=lambda n: (
            not getattr(probes[n], "likelihood_ratio", False),
            not set(probes[n].attacks[1:]) <= set(FEWEST),
        ),
    )
    server = {name: number for number in reversed(by_number) for name in probes[number].attacks if name in wanted}
    names = [tuple(name for name in probe.attacks if server.get(name) == n) for n, probe in enumerate(probes)]
    return [(probe, of_probe) for probe, of_probe in zip(probes, names, strict=True) if of_probe]


def label_results(probes: Sequence[Probe], question: LabelQuestion) -> LabelResults:
    """Ask what the wanted attacks read, each of the first probe that can serve it.

    Args:
        probes: What is asked, each kind once.
        question: Who is asked about which records, and for which attacks.

    Raises:
        InputError: A kind does not fit the inputs.
        TargetError: A model does not answer.
        BudgetError: The target's budget is spent.
    """
    results = [
        probe.play(replace(question, wanted={name: question.wanted[name] for name in names}))
        for probe, names in served(probes, question.wanted)
    ]
    attacks = together(one.attacks for one in results)
    copies = {name: of_name for one in results for name, of_name in one.copies.items()}
    if question.shadows is not None and question.shadows.rows is not None:
        attacks, copies = _of_some(attacks, copies, question.shadows), {}
    return LabelResults(
        attacks=attacks,
        copies=copies,
        is_in=None if question.shadows is None or question.shadows.pool is not None else question.shadows.member,
    )


def _of_some(attacks: PlayedAttacks, copies: Collection[str], shadows: ShadowLabels) -> PlayedAttacks:
    """Attacks whose thresholds are set on some records of the source models; those that learn of them are not run."""

    def among_all(one: Played) -> Played:
        if one.known_scores is None:
            return one
        scores = np.full(shadows.n_rows, np.nan)
        scores[shadows.rows] = one.known_scores
        return replace(one, known_scores=scores)

    needs = "source models that are asked about all of their records (no n_asked_about)"
    return replace(
        attacks,
        played=tuple(among_all(one) for one in attacks.played),
        not_run=(*attacks.not_run, *(NotRun(name, needs) for name in copies)),
    )


def played_with(attacks: Iterable[Attack], n_shadows: int) -> tuple[str, ...]:
    """Return the names of the attacks that so many shadow models allow, as far as queries depend on it."""
    return tuple(attack.name for attack in attacks if n_shadows >= FEWEST.get(attack.name, 0))


def n_queries_of(
    probes: Sequence[Probe], pool: Records, space: InputSpace, wanted: Collection[str] | None = None
) -> int:
    """Return the most queries that the target may be asked, over all records.

    Args:
        probes: What is asked.
        pool: The records.
        space: What inputs may be.
        wanted: Attacks that are played; all if omitted. What none of them reads is not asked.

    Raises:
        InputError: A kind of copies does not fit the inputs, or a search cannot start from them or with so few queries.
    """
    if probes and (is_sparse(pool.inputs) or pool.inputs.ndim == 1):
        what = "a sparse matrix" if is_sparse(pool.inputs) else "texts"
        raise InputError(
            f"Expected inputs as a dense array or a table for copies of them, found {what}; leave out [label_only]."
        )
    every = {name for probe in probes for name in probe.attacks}
    chosen = every if wanted is None else every & set(wanted)
    return sum(probe.n_queries_of(pool, space, names) for probe, names in served(probes, chosen)) * pool.n_records


def score(attack: Attack, first: np.ndarray, **signals: np.ndarray) -> np.ndarray:
    """Scores of an attack; `first` is what it reads first."""
    return attack.play({attack.reads[0]: first, **signals})


def all_records(pool: Records) -> np.ndarray:
    """Numbers of all records."""
    return np.arange(pool.n_records)


def image_axes(pool: Records) -> tuple[int, int]:
    """Where height and width are: after the channels if there are 1 or 3 of these in front and not at the end."""
    shape = pool.inputs.shape
    return (2, 3) if len(shape) == 4 and shape[1] in (1, 3) and shape[3] not in (1, 3) else (1, 2)


def range_of(pool: Records, space: InputSpace) -> tuple[float, float]:
    """The smallest and the largest number of an input."""
    low, high = space.bounds(pool.inputs)
    return float(low.min()), float(high.max())


def refuse_no_images(pool: Records, what: str) -> None:
    """Refuse inputs that are no images.

    Raises:
        InputError: Naming what needs them.
    """
    if hasattr(pool.inputs, "columns") or pool.inputs.ndim not in (3, 4):
        found = "a table" if hasattr(pool.inputs, "columns") else f"shape {pool.inputs.shape}"
        raise InputError(
            f"Expected images, records x height x width (x channels), for {what}, found {found}; take noisy copies."
        )
