"""Every training card, and records like those it is for."""

import numpy as np

from vestige.core.records import Records
from vestige.papers import p1, p2, p3, p4
from vestige.training.torch_recipe import TorchRecipe

TABLES: dict[str, tuple[TorchRecipe, int, int]] = {
    "p1 purchase": (p1.purchase_recipe(), 600, 100),
    "p1 texas": (p1.texas_recipe(), 6169, 100),
    "p1 location, memguard": (p1.location_memguard_recipe(), 446, 30),
    "p1 texas, memguard": (p1.texas_memguard_recipe(), 6169, 100),
    "p3 purchase": (p3.purchase_recipe(), 600, 100),
    "p3 texas": (p3.texas_recipe(), 6169, 100),
    "p3 adult": (p3.adult_recipe(), 107, 2),
    "p3 adult, as it is": (p3.adult_recipe(scaled=False), 107, 2),
    "p3 location": (p3.location_recipe(), 446, 30),
    "p3 location, dropout": (p3.location_recipe(dropout=0.1), 446, 30),
    "p4 credit": (p4.credit_recipe(), 20, 2),
    "p4 credit, softmax twice": (p4.credit_recipe(softmax_twice=True), 20, 2),
    "p4 hepatitis": (p4.hepatitis_recipe(), 19, 2),
    "p4 adult": (p4.adult_recipe(), 103, 2),
}
"""Recipe, features, classes."""

IMAGES: dict[str, tuple[TorchRecipe, int, int, int]] = {
    "p1 ch-mnist": (p1.ch_mnist_recipe(), 64, 1, 8),
    "p2 wrn": (p2.wrn_recipe(), 16, 3, 10),
    "p2 resnet18": (p2.resnet18_recipe(n_filters=16), 16, 3, 10),
    "p3 cifar": (p3.cifar_recipe(), 32, 3, 10),
    "p3 cifar, dropout": (p3.cifar_recipe(100, dropout=0.2), 32, 3, 100),
    "p3 mnist": (p3.mnist_recipe(), 28, 1, 10),
    "p3 fixmatch": (p3.fixmatch_recipe(), 16, 3, 10),
    "p3 fixmatch, bare": (p3.fixmatch_recipe(regularised=False), 16, 3, 10),
    "p4 mnist": (p4.mnist_recipe(), 28, 1, 10),
    "p4 cifar": (p4.cifar_recipe(), 32, 3, 10),
    "p4 cifar, augmented": (p4.cifar_recipe(augment=True), 32, 3, 10),
    "p4 cifar-100, augmented": (p4.cifar_recipe(100, augment=True), 32, 3, 100),
}
"""Recipe, pixels, channels, classes."""

CARDS: dict[str, TorchRecipe] = {name: card[0] for name, card in (TABLES | IMAGES).items()}


def records_of(name: str, n: int = 16) -> Records:
    """Return random records that a card's network takes, labels and inputs having nothing to do with each other."""
    rng = np.random.default_rng(0)
    inputs: np.ndarray
    if name in TABLES:
        _, n_features, n_classes = TABLES[name]
        inputs = rng.integers(2, size=(n, n_features)).astype(np.float32)
    else:
        _, size, n_channels, n_classes = IMAGES[name]
        inputs = rng.integers(256, size=(n, size, size, n_channels), dtype=np.uint8)
    labels = rng.integers(n_classes, size=n)
    labels[0] = n_classes - 1
    return Records(inputs, labels)
