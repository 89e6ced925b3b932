"""What is trained in each experiment: data, recipe, number of models, and how they are asked."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace

import numpy as np
from tests.experiments.shadow_answers import Views, as_they_are, mirrored_and_shifted
from torch import nn

from vestige.core.records import Records
from vestige.core.seeds import stream
from vestige.data.sets.named import load
from vestige.papers import choquette_choo
from vestige.papers.augmentations import InTurn, Mirror, ReflectedCrop
from vestige.training.strategies import Strategy
from vestige.training.torch_recipe import TorchRecipe


@dataclass(frozen=True)
class Setting:
    """Models in complementary pairs on one data set.

    Attributes:
        words: What is trained, for a reader.
        data: The named data set.
        n_records: Size of the pool, half of which is in each training set: drawn at random, for real sets may be
            sorted by class.
        recipe: Makes the recipe.
        n_models: Models in all.
        shadows: Numbers of shadow models that each target is attacked with.
        n_pairs: Pairs that are targets.
        strategy: How models are trained.
        views: What is asked of them in the place of each record.
    """

    words: str
    data: str
    n_records: int
    recipe: Callable[[], TorchRecipe]
    _: KW_ONLY
    n_models: int
    shadows: tuple[int, ...]
    n_pairs: int
    strategy: Strategy
    views: Views = as_they_are

    @property
    def trains_with_views(self) -> bool:
        """Whether the queries are what the models were trained on; those that augment mirror and shift, as views do."""
        return self.views is as_they_are or self.recipe().augment is not None

    def records(self) -> Records:
        """Read the pool."""
        records = load(self.data)
        if self.n_records == records.n_records:
            return records
        chosen = stream(0, f"experiment, records of {self.data}").permutation(records.n_records)[: self.n_records]
        return records.take(np.sort(chosen))


def location_recipe() -> TorchRecipe:
    """Choquette-Choo et al.'s network for a fixed time: that of the prototype whose figures are to be met."""
    return replace(choquette_choo.location_recipe(), epochs=40, batch_size=64, stop=None)


def small_network() -> nn.Sequential:
    """Half of the paper's convolutions with half of their channels: a tenth of the work, and it still memorises."""
    layers: list[nn.Module] = []
    for n_in, n_out in ((3, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(1024, 128), nn.ReLU(), nn.Linear(128, 10))


def cifar_recipe() -> TorchRecipe:
    return replace(choquette_choo.cifar_recipe(), network=small_network)


def augmented_cifar_recipe() -> TorchRecipe:
    """With Carlini et al.'s augmentation, for a fixed time: there is no plateau of the loss to wait for."""
    return replace(cifar_recipe(), epochs=80, stop=None, augment=InTurn((Mirror(), ReflectedCrop(4))))


SETTINGS: dict[str, Setting] = {
    "location30": Setting(
        "446-128-128-30 with tanh (Choquette-Choo et al.), Adam 1e-3, batches of 64, 40 epochs; half of 5,010 "
        "records each",
        "location30",
        5_010,
        location_recipe,
        n_models=130,
        shadows=(4, 8, 16, 32, 64, 128),
        n_pairs=65,
        strategy=Strategy(stack=16),
    ),
    "adult": Setting(
        "Choquette-Choo et al.'s card, 107-128-128-2 with tanh until the training loss stops falling; 10,000 of "
        "20,000 records each",
        "adult-choquette-choo",
        20_000,
        choquette_choo.adult_recipe,
        n_models=18,
        shadows=(4, 8, 16),
        n_pairs=9,
        strategy=Strategy(stack=18),
    ),
    "mnist": Setting(
        "Choquette-Choo et al.'s card, four convolutions until the training loss stops falling; 1,000 of 2,000 "
        "images each",
        "mnist",
        2_000,
        lambda: replace(choquette_choo.mnist_recipe(), bfloat16=True),
        n_models=10,
        shadows=(4, 8),
        n_pairs=5,
        strategy=Strategy(bfloat16=True),
    ),
    "cifar10-jpeg": Setting(
        "three convolutions of 16, 32 and 64, trained as Choquette-Choo et al.'s card says; 1,000 of 2,000 images each",
        "cifar10-jpeg",
        2_000,
        cifar_recipe,
        n_models=10,
        shadows=(4, 8),
        n_pairs=5,
        strategy=Strategy(),
        views=mirrored_and_shifted,
    ),
    "cifar10-jpeg-augmented": Setting(
        "the same network on mirrored and shifted images, 80 epochs; 1,000 of 2,000 images each",
        "cifar10-jpeg",
        2_000,
        augmented_cifar_recipe,
        n_models=6,
        shadows=(4,),
        n_pairs=3,
        strategy=Strategy(),
        views=mirrored_and_shifted,
    ),
}
