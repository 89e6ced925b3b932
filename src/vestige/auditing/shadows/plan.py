"""`ShadowPlan`: which shadow models to train, and how. The run keeps it, so that a resumed one trains the same."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int
from pydantic import BaseModel, ConfigDict, JsonValue

from vestige.auditing.run_folder import PLAN
from vestige.core.digests import digest_of_columns
from vestige.core.errors import RunFolderError
from vestige.core.half_written import half_written, remove_left_behind, writable
from vestige.core.recipe import Model, Recipe
from vestige.core.records import Records
from vestige.core.seeds import stream
from vestige.core.views import Views
from vestige.data.signals.layout import AT_THE_END, ModelTable
from vestige.training.identity import plain
from vestige.training.model_key import ModelKey
from vestige.training.strategies import Strategy

_FORMAT = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class ShadowPlan:
    """Which models to train, and how.

    Attributes:
        recipe: How each is trained.
        records: The pool; every model is asked about all of it.
        member: Which record each is trained on.
        seed: The models' seeds are drawn from it, each from its number alone.
        strategy: How they are trained: processes, threads, stacks.
        groups: Models that are trained together.
        n_asked: Models that were asked for; there may be fewer for lack of time.
        checkpoints: Epochs after which they are asked as well.
        gradient_norms: Whether to observe the gradient of every record.
        views: Queries about each record; the record alone if None.
        share: Share of the records that each is trained on.
        epoch: Which of the checkpoints is read; the end of training if None. It decides no model.
        sources: Whether the records are the models' own, and none of them is audited.
        drawn_alone: Whether each training set was drawn on its own.
    """

    recipe: Recipe
    records: Records
    member: Bool[np.ndarray, "model record"]
    seed: int
    strategy: Strategy
    groups: list[list[int]]
    n_asked: int
    checkpoints: tuple[int, ...] = ()
    gradient_norms: bool = False
    views: Views | None = None
    share: Fraction = Fraction(1, 2)
    epoch: int | None = None
    sources: bool = False
    drawn_alone: bool = False

    @property
    def group_size(self) -> int:
        """Models that are trained all or not at all."""
        return 1 if self.sources else self.n_together

    @property
    def n_together(self) -> int:
        """Models whose training sets were drawn together."""
        return 1 if self.drawn_alone else self.share.denominator

    @property
    def drawn_together(self) -> Int[np.ndarray, " model"]:
        """Number of the group whose training sets were drawn together, for each model."""
        return np.asarray(np.arange(self.n_models) // self.n_together)

    @property
    def n_models(self) -> int:
        """Number of models."""
        return len(self.member)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """The recipe's identity. Source files are read for it, so it is kept."""
        return dict(self.recipe.identity())

    def seed_of(self, model: int) -> int:
        """Seed of a model's training."""
        return int(stream(self.seed, f"shadow model {model}").integers(2**31))

    def model_key(self, model: int) -> ModelKey:
        """The key of a model in the bank."""
        row = digest_of_columns({"member": self.member[model]})
        return ModelKey(
            data=self.records.digest,
            membership=row,
            recipe=self.identity,
            seed=self.seed_of(model),
            checkpoints=self.checkpoints,
        )

    def table(self) -> ModelTable:
        """The model axis of the store: every model at its checkpoints, then at the end."""
        epochs = (*self.checkpoints, AT_THE_END)
        models = np.repeat(np.arange(self.n_models), len(epochs))
        return ModelTable(models, np.tile(epochs, self.n_models), [self.seed_of(int(i)) for i in models])

    def rows_of(self, model: int) -> range:
        """Rows of the store that are a model's."""
        n = len(self.checkpoints) + 1
        return range(model * n, (model + 1) * n)

    def row_read(self, model: int) -> int:
        """Row of the store that attacks read of a model."""
        return self.rows_of(model)[-1 if self.epoch is None else self.checkpoints.index(self.epoch)]

    def copy_read(self, model: Model) -> Model:
        """Return the copy of a model that attacks read."""
        return next((copy for copy in model.checkpoints if copy.epoch == self.epoch), model)

    def as_text(self) -> dict[str, Any]:
        """What a resumed run must have in common; newer settings at their defaults are left out: older runs match."""
        asked = {
            "data": self.records.digest,
            "recipe": self.identity,
            "n_asked": self.n_asked,
            "member": digest_of_columns({"member": self.member}),
            "seed": self.seed,
            "checkpoints": list(self.checkpoints),
            "gradient_norms": self.gradient_norms,
        }
        asked |= {} if self.views is None else {"views": plain(vars(self.views))}
        asked |= {} if self.share == Fraction(1, 2) else {"share": str(self.share)}
        return asked | ({"drawn_alone": True} if self.drawn_alone else {})


def planned(
    folder: Path, plan_of: Callable[[Strategy, list[list[int]] | None], ShadowPlan], choose: Callable[[], Strategy]
) -> ShadowPlan:
    """Return the plan of a run, or make one: strategy and groups are kept, so that a resumed run ends with equal bits.

    Args:
        folder: The run.
        plan_of: Makes a plan with a strategy and groups; with its own groups if None is given.
        choose: Measures and returns a strategy; called only if the run has none yet.

    Raises:
        RunFolderError: The folder holds a plan of other models, both sides named.
    """
    path = folder / PLAN
    if path.exists():
        strategy, groups, asked = _read_plan(path)
        plan = plan_of(strategy, groups)
        _same(folder, asked, json.loads(json.dumps(plan.as_text())))
        return plan
    plan = plan_of(choose(), None)
    text = {"format": _FORMAT, "strategy": asdict(plan.strategy), "groups": plan.groups, "asked": plan.as_text()}
    with writable(folder.name, "the plan of shadow models"):
        folder.mkdir(parents=True, exist_ok=True)
        remove_left_behind(folder, PLAN)
        with half_written(folder, PLAN) as partial:
            (partial / PLAN).touch(mode=0o600)  # the seed tells whoever has the records who trained which model
            (partial / PLAN).write_text(json.dumps({**text, "digest": _digest_of(text)}, indent=1) + "\n")
            (partial / PLAN).replace(path)
    return plan


class _Stored(BaseModel):
    """The stored plan of a run."""

    model_config = ConfigDict(strict=True)
    format: int
    strategy: dict[str, Any]
    groups: list[list[int]]
    asked: dict[str, JsonValue]


def _read_plan(path: Path) -> tuple[Strategy, list[list[int]], Mapping[str, Any]]:
    try:
        there = json.loads(path.read_text())
        if there.pop("digest") != _digest_of(there):
            raise ValueError
        stored = _Stored(**there)
        if stored.format != _FORMAT or not all(isinstance(value, int) for value in stored.strategy.values()):
            raise ValueError
        return Strategy(**stored.strategy), stored.groups, stored.asked
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise RunFolderError(
            f"Expected the plan of shadow models in {path.name}, found it damaged; remove the folder "
            f"{path.parent.name} or name another with --out. Trained models stay in the bank."
        ) from None


def _digest_of(text: Any) -> str:
    return digest_of_columns({"text": np.array([json.dumps(text, sort_keys=True)])})


def _same(folder: Path, there: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    said_first = ("views", "share", "drawn_alone")  # they decide others, such as who is in which training set
    for name in dict.fromkeys((*said_first, *asked, *there)):
        if there.get(name) != asked.get(name):
            raise RunFolderError(
                f"Expected {folder.name} to hold shadow models of the same {name}, found {_brief(there.get(name))} "
                f"there and {_brief(asked.get(name))} here; name another folder with --out. Trained models are shared "
                "by the bank."
            )


def _brief(value: Any) -> str:
    if value is None:
        return "none"
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:40]}... ({_digest_of(value)[:8]})"
