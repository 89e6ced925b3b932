"""What is trained and asked in each study of Choquette-Choo et al.'s tables, and what they publish."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace

import numpy as np
from tests.experiments.settings import cifar_recipe, small_network
from torch import nn

from vestige.core.inputs import InputSpace
from vestige.papers import choquette_choo
from vestige.papers.inputs import ADULT_MEAN, ADULT_STD
from vestige.signals.label_only.noise import NoiseStrength
from vestige.training.torch_recipe import TorchRecipe

Published = dict[tuple[str, str], float | str]
"""Better and other attack -> difference of balanced accuracies in the paper; `above` where only a figure shows it."""


@dataclass(frozen=True)
class Setting:
    """A target and a source model on one data set.

    Attributes:
        words: What is trained, for a reader.
        data: The named data set.
        n_training: Records in each training set; the two share none.
        recipe: Makes the recipe.
        published: What Choquette-Choo et al. have.
        strengths: Of noise, tried on the source.
        space: What inputs may be, in the unit that is asked about.
        n_side: Members, and nonmembers, that each model is asked about.
        n_combined: Of these, those of the combined attack.
        n_choice: Noisy copies for the choice of a strength.
        n_noise: Noisy copies with the strength that was chosen.
        surfree: Queries of SurFree.
        of_copy: Queries about each translate in the combined attack.
        unmet: What is so different from the paper that its numbers do not stand beside; empty: nothing.
        standardised: Whether distances are in standard deviations of the first columns, as the paper's Adult needs.
    """

    words: str
    data: str
    n_training: int
    recipe: Callable[[], TorchRecipe]
    published: Published
    _: KW_ONLY
    strengths: tuple[NoiseStrength, ...]
    space: InputSpace
    n_side: int = 300
    n_combined: int = 0
    n_choice: int = 2_500
    n_noise: int = 2_500
    surfree: int = 2_500
    of_copy: int = 1_000
    unmet: str = ""
    standardised: bool = False

    @property
    def is_images(self) -> bool:
        return self.n_combined > 0


def small_mnist_network() -> nn.Sequential:
    """`small_network` for one channel and 28 pixels: three poolings leave 3 x 3."""
    layers = list(small_network())
    layers[0], layers[10] = nn.Conv2d(1, 16, 3, padding=1), nn.Linear(576, 128)
    return nn.Sequential(*layers)


def mnist_recipe() -> TorchRecipe:
    return replace(choquette_choo.mnist_recipe(), network=small_mnist_network)


def standardised(inputs: np.ndarray) -> np.ndarray:
    """Adult in standard deviations, as its network sees it."""
    out = inputs.astype(np.float32)
    out[:, :6] = (out[:, :6] - np.array(ADULT_MEAN, np.float32)) / np.array(ADULT_STD, np.float32)
    return out


_PIXEL_NOISE = tuple(NoiseStrength(gaussian=s) for s in (0.02, 0.04, 0.06, 0.08, 0.10))
_ADULT_NOISE = (
    *(
        NoiseStrength(gaussian=float(k), flips=k / 107, in_units=True) for k in (20, 30, 50)
    ),  # Choquette-Choo et al.'s code
    *(NoiseStrength(gaussian=s, flips=p) for s in (0.01, 0.03) for p in (0.005, 0.01, 0.02, 0.05)),
)

SETTINGS = {
    "location30": Setting(
        "Choquette-Choo et al.'s card: 446-128-128-30 with tanh until the training loss stops falling; 1,600 records "
        "each",
        "location30",
        1_600,
        choquette_choo.location_recipe,
        {("confidence", "gap"): 0.205, ("noise", "gap"): 0.171, ("confidence", "noise"): 0.034},
        strengths=tuple(NoiseStrength(flips=k / 446) for k in (1, 2, 3, 5, 10)),
        space=InputSpace(low=0, high=1),
    ),
    "adult": Setting(
        "Choquette-Choo et al.'s card: 107-128-128-2 with tanh until the training loss stops falling; 10,000 records "
        "each",
        "adult-choquette-choo",
        10_000,
        choquette_choo.adult_recipe,
        {
            ("confidence", "gap"): 0.012,
            ("noise as published", "gap"): 0.0,
            ("confidence", "noise as published"): 0.012,
        },
        strengths=_ADULT_NOISE,
        space=InputSpace(),
        n_choice=1_000,
        standardised=True,
    ),
    "mnist": Setting(
        "three convolutions of 16, 32 and 64 instead of Choquette-Choo et al.'s four, trained as its card says; "
        "1,000 images each",
        "mnist",
        1_000,
        mnist_recipe,
        {
            ("combined", "distance"): 0.009,
            ("distance", "gap"): 0.046,
            ("augmentation", "gap"): 0.007,
            ("confidence", "gap"): 0.025,
            ("confidence", "distance"): -0.021,
        },
        strengths=_PIXEL_NOISE,
        space=InputSpace(low=0, high=1),
        n_side=150,
        n_combined=100,
        n_choice=100,
        n_noise=1_000,
        surfree=1_000,
    ),
    "cifar10-jpeg": Setting(
        "three convolutions of 16, 32 and 64 instead of Choquette-Choo et al.'s four, trained as its card says; "
        "1,000 images each, not "
        "Choquette-Choo et al.'s 2,500",
        "cifar10-jpeg",
        1_000,
        lambda: replace(cifar_recipe(), bfloat16=True),
        # Figures 1 and 2, without numbers but of augmentations: 3 to 4 points at best.
        {
            ("combined", "distance"): "above",
            ("distance", "gap"): "above",
            ("augmentation", "gap"): 0.035,
            ("confidence", "gap"): "above",
            ("confidence", "distance"): 0.0,
        },
        strengths=_PIXEL_NOISE,
        space=InputSpace(low=0, high=1),
        n_side=75,
        n_combined=75,
        n_choice=50,
        n_noise=250,
        surfree=250,
        of_copy=250,
        unmet="re-encoded images are not CIFAR-10, and 1,000 of them are not 2,500",
    ),
}
