"""Small convolutional networks, without normalisation; images are square."""

from torch import nn

from vestige.papers.networks.initialisation import glorot_uniform


def two_blocks(n_classes: int = 8, *, n_channels: int = 1, size: int = 64) -> nn.Sequential:
    """Return Song & Mittal's network of CH-MNIST: two convolution blocks of 32 and 64 channels, then the logits.

    Args:
        n_classes: Outputs.
        n_channels: Of the images.
        size: Their height and width [pixels].

    Source:
        Song & Mittal, appendix A, which says no more than the number of blocks and their channels. Ours: a block is a
        3x3 convolution that keeps the size, ReLU and 2x2 max pooling; logits follow at once.
    """
    return nn.Sequential(
        nn.Conv2d(n_channels, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * (size // 4) ** 2, n_classes),
    )  # fmt: skip


def four_convolutions(
    n_classes: int = 10,
    *,
    n_channels: int = 3,
    size: int = 32,
    dropout: float = 0.0,
    width: int = 32,
    hidden: int = 512,
) -> nn.Sequential:
    """Return Choquette-Choo et al.'s CNN, of 1.25 million parameters.

    Four 3x3 convolutions in two pairs, a layer of 512, the logits. The second convolution of a pair loses a pixel at
    every border.

    Args:
        n_classes: Outputs.
        n_channels: Of the images: 3 for CIFAR, 1 for MNIST.
        size: Their height and width [pixels]: 32 or 28.
        dropout: Share left out after the second pooling and after the layer of 512: Choquette-Choo et al.'s defence.
        width: Channels of the first pair; the second has twice as many.
        hidden: Width of the layer before the logits.

    Source:
        Choquette-Choo et al., appendix B.1, which speaks of one pooling between the pairs and 1.2 million parameters;
        its code has a second pooling after the second pair, which is what gives that number. First weights: Keras'
        default.
    """
    layers = [
        nn.Conv2d(n_channels, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU(), nn.Conv2d(2 * width, 2 * width, 3), nn.ReLU(),
        nn.MaxPool2d(2), nn.Dropout(dropout), nn.Flatten(),
        nn.Linear(2 * width * (((size - 2) // 2 - 2) // 2) ** 2, hidden), nn.ReLU(),
        nn.Dropout(dropout), nn.Linear(hidden, n_classes),
    ]  # fmt: skip
    return glorot_uniform(nn.Sequential(*layers))


def two_convolutions(n_classes: int = 10, *, n_channels: int = 1, size: int = 28) -> nn.Sequential:
    """Return Watson et al.'s network of MNIST: 5x5 convolutions of 20 and 50 channels, a layer of 500, the logits.

    Args:
        n_classes: Outputs.
        n_channels: Of the images.
        size: Their height and width [pixels].

    Source:
        Watson et al., section 4.1 (after Leino & Fredrikson 2020). That convolutions do not pad and that ReLU comes
        before the pooling is from its code.
    """
    side = ((size - 4) // 2 - 4) // 2
    return nn.Sequential(
        nn.Conv2d(n_channels, 20, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25),
        nn.Conv2d(20, 50, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25),
        nn.Flatten(), nn.Linear(50 * side**2, 500), nn.ReLU(), nn.Dropout(0.5), nn.Linear(500, n_classes),
    )  # fmt: skip


def smallnet(n_classes: int = 10, *, n_channels: int = 3) -> nn.Sequential:
    """Return Watson et al.'s network of CIFAR, of 131 thousand parameters.

    3x3 convolutions of 32, 64, 64 and 128 channels, averaged.

    Args:
        n_classes: Outputs.
        n_channels: Of the images, which may be of any size from 8 pixels.

    Source:
        Watson et al., section 4.1; that convolutions keep the size and the last pooling is over the whole image is from
        its code, whose name for the network this is.
    """
    return nn.Sequential(
        nn.Conv2d(n_channels, 32, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2),
        nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2),
        nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(128, n_classes),
    )  # fmt: skip
