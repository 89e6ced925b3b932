"""Residual networks, for small images and for those of ImageNet."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from vestige.papers.networks.initialisation import he_normal_of_outputs


class ResNet(nn.Module):
    """A residual network of four groups of blocks; the channels double and the image halves from one to the next.

    Args:
        n_classes: Outputs.
        n_blocks: Blocks of each group: 3, 4, 6 and 3 make ResNet-34, and ResNet-50 of bottlenecks.
        bottleneck: Whether a block is 1x1, 3x3 and 1x1 convolutions, the last with four times the channels, as in
            ResNet-50; else two 3x3 ones.
        n_filters: Channels of the first group, 64 in the paper's; 16 makes a network of a sixteenth of the size.
        n_channels: Of the images.
        large_images: Whether the first convolution is 7x7 with stride 2, as for ImageNet; else 3x3 without stride.
        pool_first: Whether 3x3 max pooling with stride 2 follows the first convolution, as for ImageNet and in the
            models of Carlini et al.'s Fig. 12; without it features stay twice as fine, at four times the cost.

    Source:
        He et al. 2016. Deviation: the stride of a bottleneck is at its 3x3 convolution, as in most implementations.
    """

    def __init__(
        self,
        n_classes: int = 10,
        *,
        n_blocks: Sequence[int] = (3, 4, 6, 3),
        bottleneck: bool = False,
        n_filters: int = 64,
        n_channels: int = 3,
        large_images: bool = False,
        pool_first: bool = True,
    ) -> None:
        super().__init__()
        size, stride = (7, 2) if large_images else (3, 1)
        inner = [n_filters * 2**i for i in range(len(n_blocks))]
        outer = [n_filters, *(4 * n if bottleneck else n for n in inner)]
        self.first = nn.Conv2d(n_channels, n_filters, size, stride=stride, padding=size // 2, bias=False)
        self.norm = nn.BatchNorm2d(n_filters)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1) if pool_first else nn.Identity()
        make = _Bottleneck if bottleneck else _Block
        self.groups = nn.Sequential(
            *(
                nn.Sequential(
                    make(n_in, n_out, 1 if i == 0 else 2), *(make(n_out, n_out, 1) for _ in range(n_blocks[i] - 1))
                )
                for i, (n_in, n_out) in enumerate(pairwise(outer))
            )
        )
        self.last = nn.Linear(outer[-1], n_classes)
        he_normal_of_outputs(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of a batch, record x channel x row x column."""
        features: Tensor = self.groups(self.pool(functional.relu(self.norm(self.first(images)))))
        logits: Tensor = self.last(features.mean(dim=(2, 3)))
        return logits


class ResNet18(ResNet):
    """ResNet-18 for small images: four pairs of basic blocks, its first convolution 3x3 without stride.

    Args:
        n_classes: Outputs.
        n_filters: As for `ResNet`.
        n_channels: Of the images.
        pool_first: As for `ResNet`.

    Source:
        He et al. 2016, as Phan changed it for CIFAR-10 (reference 51 of Carlini et al., section on pretrained models).
    """

    def __init__(
        self, n_classes: int = 10, *, n_filters: int = 64, n_channels: int = 3, pool_first: bool = True
    ) -> None:
        super().__init__(
            n_classes, n_blocks=(2, 2, 2, 2), n_filters=n_filters, n_channels=n_channels, pool_first=pool_first
        )


def _shortcut(n_in: int, n_out: int, stride: int) -> nn.Module:
    if n_in == n_out and stride == 1:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride=stride, bias=False), nn.BatchNorm2d(n_out))


class _Block(nn.Module):
    """Convolution, normalisation, activation, convolution, normalisation; the shortcut joins before the last."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False)
        self.conv_2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.norm_1, self.norm_2 = nn.BatchNorm2d(n_out), nn.BatchNorm2d(n_out)
        self.shortcut = _shortcut(n_in, n_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.norm_1(self.conv_1(x)))
        return functional.relu(self.norm_2(self.conv_2(inner)) + self.shortcut(x))


class _Bottleneck(nn.Module):
    """As a block, of three convolutions: to a quarter of the channels, 3x3, and back."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        n = n_out // 4
        self.conv_1 = nn.Conv2d(n_in, n, 1, bias=False)
        self.conv_2 = nn.Conv2d(n, n, 3, stride=stride, padding=1, bias=False)
        self.conv_3 = nn.Conv2d(n, n_out, 1, bias=False)
        self.norm_1, self.norm_2, self.norm_3 = nn.BatchNorm2d(n), nn.BatchNorm2d(n), nn.BatchNorm2d(n_out)
        self.shortcut = _shortcut(n_in, n_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.norm_1(self.conv_1(x)))
        inner = functional.relu(self.norm_2(self.conv_2(inner)))
        return functional.relu(self.norm_3(self.conv_3(inner)) + self.shortcut(x))
