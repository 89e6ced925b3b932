"""MobileNet-v2: convolutions that are split into one per channel and one per pixel."""

from itertools import pairwise

from torch import Tensor, nn

from vestige.papers.networks.initialisation import he_normal_of_outputs

_GROUPS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Of each group of blocks: how far a block widens its input, its output channels, its blocks, its first stride."""


def mobilenet_v2(
    n_classes: int = 10, *, width: float = 1.0, n_channels: int = 3, large_images: bool = False
) -> nn.Sequential:
    """Return MobileNet-v2: 3.5 million parameters at width 1 with 1,000 classes, 2.2 million with ten.

    Args:
        n_classes: Outputs.
        width: Factor of the channels, which are rounded to multiples of 8; the last layer's 1,280 are never fewer.
        n_channels: Of the images.
        large_images: Whether the first convolution and the second group have stride 2, as for ImageNet; for images of
            32 pixels they have none.

    Source:
        Sandler et al. 2018; for small images as Phan changed it for CIFAR-10 (reference 51 of Carlini et al.), recalled
        and not checked.
    """
    first, last = _rounded(32 * width), _rounded(1280 * max(1.0, width))
    channels = [first, *(_rounded(n * width) for _, n, _, _ in _GROUPS)]
    layers: list[nn.Module] = [*_convolution(n_channels, first, 3, stride=2 if large_images else 1)]
    for i, ((n_in, n_out), (factor, _, n_blocks, stride)) in enumerate(zip(pairwise(channels), _GROUPS, strict=True)):
        stride = 1 if i == 1 and not large_images else stride
        layers += [_Block(n_in, n_out, factor, stride), *(_Block(n_out, n_out, factor, 1) for _ in range(n_blocks - 1))]
    layers += [*_convolution(channels[-1], last, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2)]
    logits = nn.Linear(last, n_classes)
    network = nn.Sequential(*layers, logits)
    he_normal_of_outputs(network)
    nn.init.normal_(logits.weight, std=0.01)
    return network


def _rounded(n_channels: float) -> int:
    """The nearest multiple of 8; the next one if that were less than nine tenths."""
    nearest = max(8, int(n_channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * n_channels else nearest + 8


def _convolution(n_in: int, n_out: int, size: int, *, stride: int = 1, groups: int = 1) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(n_in, n_out, size, stride=stride, padding=size // 2, groups=groups, bias=False)
    return convolution, nn.BatchNorm2d(n_out), nn.ReLU6()


class _Block(nn.Module):
    """To more channels pixel by pixel, 3x3 channel by channel, to the output's channels without an activation."""

    def __init__(self, n_in: int, n_out: int, factor: int, stride: int) -> None:
        super().__init__()
        n = n_in * factor
        wider = _convolution(n_in, n, 1) if factor > 1 else ()
        narrower = (nn.Conv2d(n, n_out, 1, bias=False), nn.BatchNorm2d(n_out))
        self.layers = nn.Sequential(*wider, *_convolution(n, n, 3, stride=stride, groups=n), *narrower)
        self.has_shortcut = stride == 1 and n_in == n_out

    def forward(self, x: Tensor) -> Tensor:
        inner: Tensor = self.layers(x)
        return inner + x if self.has_shortcut else inner
