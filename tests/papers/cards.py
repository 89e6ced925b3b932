"""Every training card, and records like those it is for."""

import numpy as np

from vestige.core.records import Records
from vestige.papers import carlini, choquette_choo, song_mittal, watson
from vestige.training.torch_recipe import TorchRecipe

TABLES: dict[str, tuple[TorchRecipe, int, int]] = {
    "song_mittal purchase": (song_mittal.purchase_recipe(), 600, 100),
    "song_mittal texas": (song_mittal.texas_recipe(), 6169, 100),
    "song_mittal location, memguard": (song_mittal.location_memguard_recipe(), 446, 30),
    "song_mittal texas, memguard": (song_mittal.texas_memguard_recipe(), 6169, 100),
    "choquette_choo purchase": (choquette_choo.purchase_recipe(), 600, 100),
    "choquette_choo texas": (choquette_choo.texas_recipe(), 6169, 100),
    "choquette_choo adult": (choquette_choo.adult_recipe(), 107, 2),
    "choquette_choo adult, as it is": (choquette_choo.adult_recipe(scaled=False), 107, 2),
    "choquette_choo location": (choquette_choo.location_recipe(), 446, 30),
    "choquette_choo location, dropout": (choquette_choo.location_recipe(dropout=0.1), 446, 30),
    "watson credit": (watson.credit_recipe(), 20, 2),
    "watson credit, softmax twice": (watson.credit_recipe(softmax_twice=True), 20, 2),
    "watson hepatitis": (watson.hepatitis_recipe(), 19, 2),
    "watson adult": (watson.adult_recipe(), 103, 2),
}
"""Recipe, features, classes."""

IMAGES: dict[str, tuple[TorchRecipe, int, int, int]] = {
    "song_mittal ch-mnist": (song_mittal.ch_mnist_recipe(), 64, 1, 8),
    "carlini wrn": (carlini.wrn_recipe(), 16, 3, 10),
    "carlini resnet18": (carlini.resnet18_recipe(n_filters=16), 16, 3, 10),
    "choquette_choo cifar": (choquette_choo.cifar_recipe(), 32, 3, 10),
    "choquette_choo cifar, dropout": (choquette_choo.cifar_recipe(100, dropout=0.2), 32, 3, 100),
    "choquette_choo mnist": (choquette_choo.mnist_recipe(), 28, 1, 10),
    "choquette_choo fixmatch": (choquette_choo.fixmatch_recipe(), 16, 3, 10),
    "choquette_choo fixmatch, bare": (choquette_choo.fixmatch_recipe(regularised=False), 16, 3, 10),
    "watson mnist": (watson.mnist_recipe(), 28, 1, 10),
    "watson cifar": (watson.cifar_recipe(), 32, 3, 10),
    "watson cifar, augmented": (watson.cifar_recipe(augment=True), 32, 3, 10),
    "watson cifar-100, augmented": (watson.cifar_recipe(100, augment=True), 32, 3, 100),
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
