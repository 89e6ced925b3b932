"""ResNet-18 for small images."""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from vestige.papers.networks.initialisation import he_normal_of_outputs


class ResNet18(nn.Module):
    """A residual network of four pairs of basic blocks, its first convolution 3x3 without stride.

    Args:
        n_classes: Outputs.
        n_filters: Channels of the first pair, 64 in the paper's; 16 makes a network of a sixteenth of the size.
        n_channels: Of the images.
        pool_first: Whether 3x3 max pooling with stride 2 follows the first convolution, as in the models of Carlini et
            al.'s Fig. 12; without it the features stay twice as fine, at four times the cost.

    Source:
        He et al. 2016, as Phan changed it for CIFAR-10 (reference 51 of Carlini et al., section on pretrained models).
    """

    def __init__(
        self, n_classes: int = 10, *, n_filters: int = 64, n_channels: int = 3, pool_first: bool = True
    ) -> None:
        super().__init__()
        channels = [n_filters, n_filters, 2 * n_filters, 4 * n_filters, 8 * n_filters]
        self.first = nn.Conv2d(n_channels, n_filters, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(n_filters)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1) if pool_first else nn.Identity()
        self.groups = nn.Sequential(
            *(_pair(n_in, n_out, 1 if i == 0 else 2) for i, (n_in, n_out) in enumerate(pairwise(channels)))
        )
        self.last = nn.Linear(channels[-1], n_classes)
        he_normal_of_outputs(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of a batch, record x channel x row x column."""
        features: Tensor = self.groups(self.pool(functional.relu(self.norm(self.first(images)))))
        logits: Tensor = self.last(features.mean(dim=(2, 3)))
        return logits


def _pair(n_in: int, n_out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(_Block(n_in, n_out, stride), _Block(n_out, n_out, 1))


class _Block(nn.Module):
    """Convolution, normalisation, activation, convolution, normalisation; the shortcut joins before the last."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False)
        self.conv_2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.norm_1, self.norm_2 = nn.BatchNorm2d(n_out), nn.BatchNorm2d(n_out)
        self.shortcut: nn.Module = nn.Identity()
        if n_in != n_out or stride > 1:
            self.shortcut = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride=stride, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.norm_1(self.conv_1(x)))
        return functional.relu(self.norm_2(self.conv_2(inner)) + self.shortcut(x))
