"""VGG and AlexNet in the forms that public code gives them for CIFAR: one linear layer after the convolutions."""

from torch import nn

from vestige.core.errors import InputError
from vestige.papers.networks.initialisation import he_normal_of_outputs

_LAYERS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
"""Convolutions of each of five groups, by depth."""


def vgg(n_classes: int = 10, *, depth: int = 16, n_filters: int = 64, n_channels: int = 3) -> nn.Sequential:
    """Return VGG with batch normalisation, for images of 32 pixels: 9.2 million parameters at depth 11, 14.7 at 16.

    Args:
        n_classes: Outputs.
        depth: 11, 13, 16 or 19.
        n_filters: Channels of the first group, 64 in the paper's.
        n_channels: Of the images.

    Raises:
        InputError: The depth is another one.

    Source:
        Simonyan & Zisserman 2015, whose three linear layers are one here, as in public code for CIFAR.
    """
    if depth not in _LAYERS:
        raise InputError(f"Expected a depth of 11, 13, 16 or 19, found {depth}.")
    layers: list[nn.Module] = []
    n_in = n_channels
    for group, n_layers in enumerate(_LAYERS[depth]):
        n_out = n_filters * min(2**group, 8)
        for _ in range(n_layers):
            layers += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.BatchNorm2d(n_out), nn.ReLU()]
            n_in = n_out
        layers.append(nn.MaxPool2d(2))
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(n_in, n_classes))
    he_normal_of_outputs(network)
    return network


def alexnet(n_classes: int = 10, *, n_channels: int = 3) -> nn.Sequential:
    """Return AlexNet for images of 32 pixels: 2.5 million parameters with ten classes.

    Args:
        n_classes: Outputs.
        n_channels: Of the images.

    Source:
        Krizhevsky 2014 (one tower), whose three linear layers are one here, as in public code for CIFAR.
    """
    return nn.Sequential(
        nn.Conv2d(n_channels, 64, 11, stride=4, padding=5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(256, n_classes),
    )  # fmt: skip
