"""SELENA: a model learns of every record what models that never saw it answer, and no labels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from vestige.core.errors import InputError, TrainingError, UnsupportedModelError
from vestige.core.recipe import Model
from vestige.core.records import Records
from vestige.core.seeds import stream
from vestige.training.classifier import device_of, global_stream, tensors_of
from vestige.training.imitation import Distillation
from vestige.training.plain import ANSWER_BATCH
from vestige.training.stacked import train_stack
from vestige.training.strategies import Strategy, groups_of
from vestige.training.torch_recipe import TorchRecipe


@dataclass(frozen=True, eq=False)
class Selena:
    """A torch recipe whose model is distilled from sub-models, each trained without some of the records.

    A record is out of the training sets of so many sub-models. The mean of those models' probabilities is the soft
    label that the final model, a new one, learns from.

    Attributes:
        base: How the sub-models are trained, on labels, and the final model, on soft labels. What a defence of the base
            makes of losses, as label smoothing does, is for the sub-models.
        n_models: Sub-models.
        n_without: Those that each record is left out of.

    Raises:
        InputError: A number is out of range, or the base stops early, has DP-SGD or imitates another model.

    Example:
        >>> import functools
        >>> from torch import nn
        >>> members = Records(np.eye(4, dtype=np.float32), [0, 1, 0, 1])
        >>> recipe = Selena(TorchRecipe(functools.partial(nn.Linear, 4, 2), epochs=2), n_models=4, n_without=2)
        >>> recipe.without(4, seed=0).sum(axis=1)
        array([2, 2, 2, 2])
        >>> recipe.fit(members, seed=0).epoch
        2

    Source:
        Tang et al. 2022, with their 25 and 10. Deviations: the weights after the last epoch, where their code keeps
        those of the best epoch on test records; as many records are left out of each sub-model, where they draw for
        every record alone.
    """

    base: TorchRecipe
    _: KW_ONLY
    n_models: int = 25
    n_without: int = 10

    def __post_init__(self) -> None:
        if not 1 <= self.n_without < self.n_models:
            raise InputError(
                f"Expected records that are left out of 1 to {self.n_models - 1} of {self.n_models} sub-models, found "
                f"{self.n_without}; 10 of 25 are usual."
            )
        unfit = {
            "a rule of stopping": self.base.stop,
            "DP-SGD, whose accountant would not know of the sub-models": self.base.private,
            "an imitation of another model": self.base.imitation,
        }
        for found in (words for words, part in unfit.items() if part is not None):
            raise InputError(
                f"Expected a base of a fixed number of epochs on labels alone for SELENA, found {found}; leave it out."
            )

    @property
    def epochs(self) -> int:
        """Epochs of the final model."""
        return self.base.epochs

    @property
    def third_pools(self) -> Mapping[str, Records]:
        """Those of the base."""
        return self.base.third_pools

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a plan says of the cost."""
        return (f"each is distilled from {self.n_models} sub-models, whose training is in its time",)

    def without(self, n_records: int, *, seed: int) -> Bool[np.ndarray, "record submodel"]:
        """Return which sub-models each record is left out of: any with the same chance.

        As many records are left out of each, but for one, so that all can be trained in one stack: to so many records
        at a time as there are sub-models, these are dealt like cards, in an order drawn anew.
        """
        size, rows = self.n_models, np.arange(n_records)[:, None]
        decks = np.tile(np.arange(size), (-(-n_records // size), 1))
        decks = stream(seed, "SELENA, records").permuted(decks, axis=1)
        dealt = decks[rows // size, (rows % size * self.n_without + np.arange(self.n_without)) % size]
        without = np.zeros((n_records, size), dtype=bool)
        np.put_along_axis(without, dealt, True, axis=1)
        return without

    def soft_labels(
        self, records: Records, *, seed: int, device: str | None = None
    ) -> Float[np.ndarray, "record class"]:
        """Train the sub-models, and return the mean probabilities of those that a record was left out of.

        Raises:
            TrainingError: A sub-model failed.
            InputError: There are too few records.
        """
        where = device_of(device)
        without, (inputs, _) = self.without(records.n_records, seed=seed), tensors_of(records, where)
        total = torch.zeros(records.n_records, records.n_classes, dtype=torch.float64)
        for number, model in self._sub_models(records, without, seed, where):
            rows = torch.from_numpy(np.flatnonzero(without[:, number]))
            with torch.no_grad(), global_stream(0, where):
                for some in torch.split(rows, ANSWER_BATCH):
                    total[some] += model.classifier(inputs[some.to(where)]).double().softmax(dim=1).cpu()
        return np.asarray((total / self.n_without).numpy())

    def _sub_models(
        self, records: Records, without: Bool[np.ndarray, "record submodel"], seed: int, device: str
    ) -> Iterator[tuple[int, Model]]:
        """Each sub-model with its number, in stacks where they can be."""
        member = ~without.T
        seeds = stream(seed, "SELENA, seeds of sub-models").integers(2**62, size=self.n_models).tolist()
        for group in groups_of(self.base, member, Strategy(stack=self.n_models)):
            own, models = [seeds[i] for i in group], list[Model | TrainingError]()
            try:
                models = train_stack(self.base, records, member[group], seeds=own, device=device)
            except UnsupportedModelError:
                parts = (records.take(member[i]) for i in group)
                models = [self.base.fit(part, seed=s, device=device) for part, s in zip(parts, own, strict=True)]
            for number, model in zip(group, models, strict=True):
                if isinstance(model, TrainingError):
                    raise model
                yield number, model

    def fit(
        self,
        records: Records,
        *,
        seed: int,
        start: Model | None = None,
        validation: Records | None = None,
        checkpoints: Sequence[int] = (),
        device: str | None = None,
    ) -> Model:
        """Train the sub-models and distil one from them; see `vestige.core.recipe.Recipe.fit`.

        `start` gives the final model's weights; its history alone is kept, with the loss on soft labels.
        """
        soft = self.soft_labels(records, seed=seed, device=device)
        # Not even the loss of the base, which is not used, is given the labels.
        taught = replace(records, labels=soft.argmax(axis=1), classes=records.n_classes, answers=soft)
        final = replace(self.base, imitation=Distillation())
        return final.fit(taught, seed=seed, start=start, validation=validation, checkpoints=checkpoints, device=device)

    def identity(self) -> Mapping[str, Any]:
        """Return everything that decides the model; see `vestige.core.recipe.Recipe.identity`."""
        base = dict(self.base.identity())
        return {"recipe": "SELENA", "base": base, "n_models": self.n_models, "n_without": self.n_without}

    def dump(self, model: Model) -> Mapping[str, bytes]:
        """Return the files of the final model; the sub-models are not kept."""
        return self.base.dump(model)

    def load(self, files: Mapping[str, bytes]) -> Model:
        """Return the model that `dump` gave these files for."""
        return self.base.load(files)
