"""Wide residual networks, in the two forms that the papers took from others' code."""

from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from vestige.core.errors import InputError
from vestige.papers.networks.initialisation import he_normal_of_outputs


class Shortcut(Enum):
    """Whether a shortcut that changes the shape starts after the block's first normalisation and activation."""

    ALL = "all"
    """All of them do."""
    FIRST = "first"
    """That of the first group does, those of the others start from the block's input."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """Where implementations of wide residual networks differ.

    Attributes:
        negative_slope: Of the leaky ReLU; 0 is ReLU.
        bias: Whether convolutions have one.
        norm_momentum: Weight of a new batch in the running statistics of batch normalisation.
        norm_eps: What batch normalisation adds to the variance.
        shortcut: Which shortcuts start after the activation.
    """

    negative_slope: float
    bias: bool
    norm_momentum: float
    norm_eps: float
    shortcut: Shortcut


LIRA = Form(negative_slope=0.0, bias=False, norm_momentum=0.1, norm_eps=1e-5, shortcut=Shortcut.ALL)
"""Of the demonstration of Carlini et al., which takes it from objax."""

FIXMATCH = Form(negative_slope=0.1, bias=True, norm_momentum=0.001, norm_eps=1e-3, shortcut=Shortcut.FIRST)
"""Of FixMatch (Sohn et al. 2020), which Choquette-Choo et al. take over."""


class WideResNet(nn.Module):
    """A residual network of three groups of blocks, of 16, 32 and 64 channels times its width.

    Args:
        n_classes: Outputs.
        depth: Number of convolutions on the way through: 6n + 4.
        width: Factor of the channels.
        n_channels: Of the images.
        form: Which implementation.

    Raises:
        InputError: The depth is not 6n + 4.

    Source:
        Zagoruyko & Komodakis 2016. Deviations from both implementations: a convolution with stride 2 pads at the top
        and the left, theirs at the bottom and the right; the last layer's first weights are normal, where objax cuts
        them off at two standard deviations.
    """

    def __init__(
        self, n_classes: int = 10, *, depth: int = 28, width: int = 2, n_channels: int = 3, form: Form = LIRA
    ) -> None:
        super().__init__()
        if depth < 10 or depth % 6 != 4:
            raise InputError(f"Expected a depth of 6n + 4, such as 28, found {depth}.")
        self.slope = form.negative_slope
        channels = [16, 16 * width, 32 * width, 64 * width]
        self.first = nn.Conv2d(n_channels, 16, 3, padding=1, bias=form.bias)
        self.groups = nn.Sequential(
            *(_group(n_in, n_out, depth // 6, form, first=i == 0) for i, (n_in, n_out) in enumerate(pairwise(channels)))
        )
        self.norm = _norm(channels[-1], form)
        self.last = nn.Linear(channels[-1], n_classes)
        he_normal_of_outputs(self)
        nn.init.xavier_normal_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of a batch, record x channel x row x column."""
        features: Tensor = self.norm(self.groups(self.first(images)))
        logits: Tensor = self.last(functional.leaky_relu(features, self.slope).mean(dim=(2, 3)))
        return logits


def _group(n_in: int, n_out: int, n_blocks: int, form: Form, *, first: bool) -> nn.Sequential:
    stride = 1 if first else 2
    activated = first or form.shortcut is Shortcut.ALL
    blocks = [_Block(n_in, n_out, stride, form, activated=activated)]
    return nn.Sequential(*blocks, *(_Block(n_out, n_out, 1, form, activated=False) for _ in range(n_blocks - 1)))


def _norm(n_channels: int, form: Form) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(n_channels, eps=form.norm_eps, momentum=form.norm_momentum)


class _Block(nn.Module):
    """Normalisation, activation, convolution, twice, and a shortcut around them."""

    def __init__(self, n_in: int, n_out: int, stride: int, form: Form, *, activated: bool) -> None:
        super().__init__()
        self.slope, self.activated = form.negative_slope, activated
        self.norm_1, self.norm_2 = _norm(n_in, form), _norm(n_out, form)
        self.conv_1 = nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=form.bias)
        self.conv_2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=form.bias)
        reshapes = n_in != n_out or stride > 1
        self.shortcut = nn.Conv2d(n_in, n_out, 1, stride=stride, bias=form.bias) if reshapes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.leaky_relu(self.norm_1(x), self.slope)
        outer = functional.leaky_relu(self.norm_2(self.conv_1(inner)), self.slope)
        joined: Tensor = self.shortcut(inner if self.activated else x) + self.conv_2(outer)
        return joined
