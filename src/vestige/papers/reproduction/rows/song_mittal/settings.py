"""Records and recipes of Song & Mittal's two families: as published, and smaller ones on sets that are at hand."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from torch import nn

from vestige.core.records import Records
from vestige.core.seeds import stream
from vestige.data.sets.paper_designs import (
    AdvRegSplit,
    MemGuardSplit,
    SongMittalData,
    song_mittal_adversarial_regularisation,
    song_mittal_memguard,
)
from vestige.papers import song_mittal
from vestige.papers.networks.perceptron import perceptron
from vestige.training.adversarial_regularisation import AdversarialRegularisation
from vestige.training.torch_recipe import TorchRecipe

EXTRAS = ("location30", "mnist", "cifar10-jpeg")
"""Sets on which the tables and figures are measured beside the published ones."""

_SIZES = {"location30": (446, 30), "mnist": (28 * 28, 10), "cifar10-jpeg": (32 * 32 * 3, 10)}
"""Inputs and classes."""
_WIDTH = 0.25
SMALLER = "networks have a quarter of the paper's width and are trained on 1,000 records by Adam for 50 epochs of 64"
REGULARISED = "adversarial regularisation of strength 1 by the text's logarithm, the two networks trained in turn"
DRAWN = "records are drawn anew in each trial; the published permutations are one draw"


@dataclass(frozen=True)
class HalfKnown:
    """A model, and one with adversarial regularisation, of which the adversary knows half of the records.

    Attributes:
        defended: How the defended model is trained, from its reference records; its `base` has no defence.
        epochs: Of the model without a defence, if other than of the defended one.
    """

    defended: Callable[[Records], AdversarialRegularisation]
    epochs: int | None = None


@dataclass(frozen=True)
class Shadowed:
    """A target and a shadow model of records of its own.

    Attributes:
        split: Records of each, from a permutation of all records.
        recipe: How both are trained.
    """

    split: Callable[[np.ndarray], MemGuardSplit]
    recipe: TorchRecipe


def permuted(records: Records, seed: int, data: str) -> np.ndarray:
    """Return the row numbers of a set in the order of a trial."""
    return stream(seed, f"reproduction, records of {data.upper()}").permutation(records.n_records)


def small_network(
    data: str, *, activation: type[nn.Module] = nn.Tanh, width: float = 1.0, depth: int = 4, dropout: float = 0.0
) -> nn.Sequential:
    """Return the network of the AdvReg family at a quarter of its width, for one of the `EXTRAS`.

    Args:
        data: Which.
        activation: As of `vestige.papers.song_mittal.advreg_network`.
        width: Of the quarter.
        depth: As of `vestige.papers.song_mittal.hidden_layers`.
        dropout: Share that training leaves out.
    """
    n_features, n_classes = _SIZES[data]
    hidden = song_mittal.hidden_layers(width=_WIDTH * width, depth=depth)
    return nn.Sequential(
        nn.Flatten(), perceptron(n_features, hidden, n_classes, activation=activation, dropout=dropout)
    )


def small_recipe(
    data: str, *, activation: type[nn.Module] = nn.Tanh, width: float = 1.0, depth: int = 4
) -> TorchRecipe:
    """Return how small networks are trained; see `SMALLER`."""
    network = functools.partial(small_network, data, activation=activation, width=width, depth=depth)
    return TorchRecipe(network, epochs=50, batch_size=64)


def small_defended(data: str, reference: Records) -> AdversarialRegularisation:
    """Return how they are trained with adversarial regularisation; see `REGULARISED`."""
    return AdversarialRegularisation(small_recipe(data), reference, strength=1.0)


def small_half(permutation: np.ndarray) -> AdvRegSplit:
    """Return 1,000 members, as many reference records, and as many others."""
    return AdvRegSplit(*np.split(permutation[:3_000], 3))


def small_shadowed(permutation: np.ndarray) -> MemGuardSplit:
    """Return five sets of 1,000 records each."""
    members, defender, nonmembers, shadow_members, shadow_nonmembers = np.split(permutation[:5_000], 5)
    return MemGuardSplit(
        members=members, defender=defender, nonmembers=nonmembers,
        shadow_members=shadow_members, shadow_nonmembers=shadow_nonmembers,
    )  # fmt: skip


def cifar100_parts(permutation: np.ndarray) -> AdvRegSplit:
    """Return the published training images, no reference, and the test images."""
    is_training = permutation < 50_000
    return AdvRegSplit(permutation[is_training], permutation[:0], permutation[~is_training])


SPLITS: Mapping[str, Callable[[np.ndarray], AdvRegSplit]] = {
    "purchase100": functools.partial(song_mittal_adversarial_regularisation, SongMittalData.PURCHASE100),
    "texas100": functools.partial(song_mittal_adversarial_regularisation, SongMittalData.TEXAS100),
    "cifar100": cifar100_parts,
    **dict.fromkeys(EXTRAS, small_half),
}
"""Members, reference records and others of models of which the adversary knows half, from a permutation."""

HALVES = {
    "purchase100": HalfKnown(song_mittal.purchase_adversarial_recipe, epochs=50),
    "texas100": HalfKnown(song_mittal.texas_adversarial_recipe),
    **{data: HalfKnown(functools.partial(small_defended, data)) for data in EXTRAS},
}
"""The AdvReg family by data set."""

SHADOWED = {
    "location30": Shadowed(
        functools.partial(song_mittal_memguard, SongMittalData.LOCATION30),
        replace(song_mittal.location_memguard_recipe(), full_batches=True),
    ),
    "texas100": Shadowed(
        functools.partial(song_mittal_memguard, SongMittalData.TEXAS100),
        replace(song_mittal.texas_memguard_recipe(), full_batches=True),
    ),
    **{data: Shadowed(small_shadowed, small_recipe(data, activation=nn.ReLU)) for data in EXTRAS[1:]},
}  # fmt: skip
"""The MemGuard family by data set."""
