"""DenseNet-BC: every layer sees the outputs of all layers before it in its block."""

import torch
from torch import Tensor, nn

from vestige.core.errors import InputError
from vestige.papers.networks.initialisation import he_normal_of_outputs


def densenet_bc(n_classes: int = 10, *, depth: int = 100, growth: int = 12, n_channels: int = 3) -> nn.Sequential:
    """Return DenseNet-BC for small images: .77 million parameters at depth 100 and growth 12, 25.6 at 190 and 40.

    Args:
        n_classes: Outputs.
        depth: Number of layers on the way through: 6n + 4.
        growth: Channels that each layer adds.
        n_channels: Of the images.

    Raises:
        InputError: The depth is not 6n + 4.

    Source:
        Huang et al. 2017: three blocks, a 1x1 convolution of four times the growth before each 3x3 one, half of the
        channels kept between blocks.
    """
    if depth < 10 or depth % 6 != 4:
        raise InputError(f"Expected a depth of 6n + 4, such as 100, found {depth}.")
    n = 2 * growth
    layers: list[nn.Module] = [nn.Conv2d(n_channels, n, 3, padding=1, bias=False)]
    for block in range(3):
        layers += [_Layer(n + i * growth, growth) for i in range(depth // 6)]
        n += depth // 6 * growth
        if block < 2:
            layers += [nn.BatchNorm2d(n), nn.ReLU(), nn.Conv2d(n, n // 2, 1, bias=False), nn.AvgPool2d(2)]
            n //= 2
    pooled = (nn.BatchNorm2d(n), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network = nn.Sequential(*layers, *pooled, nn.Linear(n, n_classes))
    he_normal_of_outputs(network)
    return network


class _Layer(nn.Module):
    """New channels beside those it is given."""

    def __init__(self, n_in: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm2d(n_in), nn.ReLU(), nn.Conv2d(n_in, 4 * growth, 1, bias=False),
            nn.BatchNorm2d(4 * growth), nn.ReLU(), nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.layers(x)], dim=1)
