"""`ShadowTraining`: the settings of models that are trained like the target."""

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from vestige.core.errors import InputError
from vestige.core.jobs import Executor
from vestige.core.messages import brief
from vestige.core.recipe import Recipe
from vestige.core.records import as_records
from vestige.training.imitation import Imitation

SAME = "same"
HALF = Fraction(1, 2)
N_MODELS = 64

N_PLAYERS = 2
"""Shadow models that are imitated too: they play the target, and teach what imitators are worth."""

_LARGEST_GROUP = 20  # models that are drawn together at most: of more, a share is better said otherwise
_AS_SAID = 1e-3  # what rounding may have taken from a share, such as 0.833


@dataclass(frozen=True, eq=False)
class ShadowTraining:
    """How models like the target are trained.

    Attributes:
        recipe: How each is trained; `"same"` clones the target, if it is a scikit-learn estimator, with its parameters.
            One of another architecture than the target's is fine, and a weaker adversary: Carlini et al. 2022,
            figure 12, measure what that costs.
        n_models: How many: with a share of 1/2 they come in pairs with complementary training sets, with one of p/q in
            groups of q.
        share: Share of the records that each is trained on, such as `"5/6"`: every record is then in 5 of 6 models.
            1/2 if omitted.
        drawn_alone: Whether each training set, a share of the records in number, is drawn on its own, so that any
            number of models will do; else they are drawn in groups in which every record is equally often. For a target
            of others, which belongs to no group: the counts of a record's models then say nothing of it in either way,
            and differ from record to record. With few models some records are in all of them or in none.
        within: Time limit [s]; fewer models are trained if all do not fit. None for no limit.
        bank: Folder where models are kept for other runs; VESTIGE_BANK or the user's cache if omitted.
        executor: Backend that runs the training jobs; the processors of this machine if omitted.
        stop_at_failure: Whether the first model that fails ends the audit, instead of being reported.
        checkpoints: Epochs after which a copy of every model is kept and asked too, in rising order, counted from 1: a
            copy after epoch e has seen e whole epochs. It has the weights of that moment, also where a rule of
            stopping decides which epoch the model itself is from; a model that was stopped before a checkpoint fails.
            Schedules of the learning rate still run to the recipe's last epoch: the copy is that of a longer training,
            not the model of a shorter one.
        epoch: Which of the checkpoints attacks read; the end of training if omitted. It changes no model: the run of
            another epoch, in a folder of its own, finds the models in the bank.
        records: Records of the adversary, none of them audited: the models are then *source models*, each trained on a
            random share of these alone. Thresholds are set on their answers about these records, and so are those of
            label-only attacks. Two or more are asked about the audited records as well, and play the attacks that
            need OUT models alone; six or more teach `learnt_ratio_offline` on their own records. None to train on the
            audited records themselves.
        n_sources: How many source models, 1 if omitted, in place of `n_models`. Their answers are pooled: one threshold
            is set on the answers of all of them together, each record counted once for every model, as a member of
            those that were trained on it; it is not a mean of one threshold per model.
        n_asked_about: How many of its records label-only attacks ask each source model about, which takes a search as
            long as the target does: an even number, half of them its members, drawn by the seed. Strengths and
            thresholds are set on these. All if omitted; attacks that learn from copies need all.
        imitators: How to train models that learn to answer as the target does, on its answers about the audited
            records, which were paid for already; None trains none. Two of the shadow models are imitated as well, to
            learn what imitators are worth, so that three times as many models are trained. They read class by class
            what the target answers: a target that answers with labels alone has none.

        earlier: Copies of the target from its own training, as models or as what answers, one after each of the
            checkpoints in their order, such as `checkpoints` of a `Model`: for an adversary who saw the intermediate
            models. Attacks with reference models then read what target and shadow models answered about a record at
            the end and at each checkpoint, as several queries about it. The copies are the adversary's: no budget
            counts what they are asked.

    Source:
        Intermediate models: asked for by Carlini et al. 2022, conclusion.
        Source models: Choquette-Choo et al. 2021, section 4; pooled over several: their figure 7. Training sets drawn
        on their own: Carlini et al. 2022, figure 12, with 256 models of 5/6 of the records.
    """

    recipe: Recipe | str
    n_models: int = N_MODELS
    _: KW_ONLY
    within: float | None = None
    bank: str | Path | None = None
    executor: Executor | None = None
    stop_at_failure: bool = False
    share: Fraction | str | float = HALF
    checkpoints: Sequence[int] = ()
    epoch: int | None = None
    records: Any = None
    n_sources: int | None = None
    n_asked_about: int | None = None
    imitators: Imitation | None = None
    drawn_alone: bool = False
    earlier: Sequence[Any] = ()

    def __post_init__(self) -> None:
        if not (isinstance(self.recipe, Recipe) or self.recipe == SAME):
            raise InputError(
                f"Expected a recipe or the word same, found {brief(repr(self.recipe))}; such as "
                "vestige.SklearnRecipe(estimator)."
            )
        object.__setattr__(self, "share", _share(self.share))
        self._settle_sources()
        self._settle_checkpoints()
        size = self.group_size
        _refuse(
            size == 2 and (self.n_models < 2 or self.n_models % 2 == 1),
            f"Expected an even number of shadow models, 2 or more, found {self.n_models}; they come in pairs.",
        )
        _refuse(
            self.n_models < size or self.n_models % size > 0,
            f"Expected a multiple of {size} shadow models for a share of {self.share}, found {self.n_models}; they "
            f"come in groups of {size} in which every record is equally often: take "
            f"{max(1, round(self.n_models / size)) * size}.",
        )
        self._check_imitators()
        _refuse(not self.seconds > 0, f"Expected a time above 0 s for shadow models, found {self.seconds:g}.")

    def _settle_sources(self) -> None:
        if self.records is None:
            for said, count in (("n_sources", self.n_sources), ("n_asked_about", self.n_asked_about)):
                _refuse(
                    count is not None,
                    f"Expected records of their own for source models, found {said} {count} alone; give "
                    "records, or n_models for models trained on the audited records.",
                )
            return
        own = as_records(self.records, "records of source models")
        n_sources = 1 if self.n_sources is None else self.n_sources
        _refuse(n_sources < 1, f"Expected 1 source model or more, found {n_sources}.")
        _refuse(
            self.n_asked_about is not None
            and not (0 < self.n_asked_about <= own.n_records and self.n_asked_about % 2 == 0),
            f"Expected an even number of records, up to the {own.n_records:,} there are, that source models are asked "
            f"about, found {self.n_asked_about}.",
        )
        _refuse(
            self.n_models not in (N_MODELS, n_sources),
            f"Expected n_sources beside records of source models, found n_models {self.n_models}; say how many there "
            "are with n_sources alone.",
        )
        for name, value in (("records", own), ("n_sources", n_sources), ("n_models", n_sources)):
            object.__setattr__(self, name, value)

    def _check_imitators(self) -> None:
        if self.imitators is None:
            return
        _refuse(
            not hasattr(self.recipe, "imitation"),
            "Expected a torch recipe for imitators, which learn a model's answers, found another; train with "
            "vestige.TorchRecipe, or leave out the imitators.",
        )
        _refuse(
            self.has_sources or self.epoch is not None or bool(self.earlier),
            "Expected shadow models that are trained on audited records to the end beside imitators, found source "
            "models, a checkpoint or earlier copies; leave out the imitators.",
        )

    def _settle_checkpoints(self) -> None:
        checkpoints, epochs = tuple(self.checkpoints), getattr(self.recipe, "epochs", None)
        object.__setattr__(self, "checkpoints", checkpoints)
        _refuse(
            bool(checkpoints) and epochs is None,
            "Expected a recipe that counts epochs for checkpoints, found one that does not; train with "
            "vestige.TorchRecipe.",
        )
        _refuse(
            list(checkpoints) != sorted({e for e in checkpoints if 1 <= e <= (epochs or 0)}),
            f"Expected checkpoints that rise, within 1..{epochs}, the recipe's epochs, found {list(checkpoints)}.",
        )
        object.__setattr__(self, "earlier", tuple(self.earlier))
        _refuse(
            bool(self.earlier)
            and (len(self.earlier) != len(checkpoints) or self.epoch is not None or self.has_sources),
            f"Expected an earlier copy of the target for each of the {len(checkpoints)} checkpoints, all of which are "
            f"read, of models trained on audited records, found {len(self.earlier)}; name as many checkpoints, no "
            "epoch and no records of source models.",
        )
        _refuse(
            self.epoch is not None and self.epoch not in checkpoints,
            f"Expected an epoch among the checkpoints {list(checkpoints)}, found {self.epoch}; name it there too.",
        )

    @property
    def has_sources(self) -> bool:
        """Whether the models are trained on records of their own."""
        return self.records is not None

    @property
    def n_on_audited(self) -> int:
        """Models that are trained on audited records: those that attacks with reference models compare."""
        return 0 if self.has_sources else self.n_models

    @property
    def fraction(self) -> Fraction:
        """The share, in lowest terms."""
        return _share(self.share)

    @property
    def n_imitators(self) -> int:
        """Imitators in all: of the target and of the shadow models that are imitated."""
        return 0 if self.imitators is None else 2 * self.imitators.n_pairs * (1 + N_PLAYERS)

    @property
    def group_size(self) -> int:
        """Models that are trained all or not at all: those drawn together; a source model stands alone."""
        return 1 if self.has_sources or self.drawn_alone else self.fraction.denominator

    @property
    def seconds(self) -> float:
        """The time limit [s], infinite without one."""
        return math.inf if self.within is None else self.within

    def recipe_like(self, target: Any) -> Recipe:
        """Return the recipe; `same` is that of the target.

        Raises:
            InputError: `same`, and the target is no estimator that could be cloned.
        """
        if isinstance(self.recipe, Recipe):
            return self.recipe
        if not (hasattr(target, "get_params") and hasattr(target, "fit")):
            raise InputError(
                f"Expected a scikit-learn estimator as target to train the same, found {type(target).__name__}; give a "
                "recipe."
            )
        from vestige.training.sklearn_recipe import SklearnRecipe

        return SklearnRecipe(target)


def _refuse(is_wrong: bool, message: str) -> None:
    if is_wrong:
        raise InputError(message)


def _share(said: Fraction | str | float) -> Fraction:
    try:
        exact = Fraction(said)
    except (ValueError, TypeError, OverflowError, ZeroDivisionError):
        raise InputError(f'Expected a share such as "5/6" or 0.5, found {said!r}.') from None
    found = exact.limit_denominator(_LARGEST_GROUP)
    if not 0 < found < 1 or abs(found - exact) > _AS_SAID:
        raise InputError(
            f"Expected a share of the records between 0 and 1 in parts of {_LARGEST_GROUP} or fewer, found {said}; "
            "such as 5/6."
        )
    return found
