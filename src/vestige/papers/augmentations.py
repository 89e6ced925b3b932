"""Random changes of a batch of images in training, whole batches at once.

Each is a value with `(images, generator) -> images`, as `TorchRecipe.augment` takes it: images are what the network
takes, and numbers are drawn from the generator alone, on the processor, so that every device sees the same changes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from vestige.papers.inputs import from_minus_one_to_one

Images = Float[Tensor, "record channel row column"]


@dataclass(frozen=True)
class Mirror:
    """Mirror every image with probability 1/2.

    Attributes:
        upside_down: Whether top and bottom change places, instead of left and right.
    """

    upside_down: bool = False

    def __call__(self, images: Images, generator: torch.Generator) -> Images:
        """Return the batch, about half of it mirrored."""
        mirrored = torch.rand(len(images), generator=generator) < 0.5
        flipped = images.flip(-2 if self.upside_down else -1)
        return torch.where(mirrored.to(images.device)[:, None, None, None], flipped, images)


@dataclass(frozen=True)
class ReflectedCrop:
    """Shift every image by up to `padding` pixels either way; what comes in is its reflection at the border.

    Attributes:
        padding: Largest shift in rows and in columns, each uniform [pixels]; less than the images' size.
    """

    padding: int = 4

    def __call__(self, images: Images, generator: torch.Generator) -> Images:
        """Return the batch, shifted."""
        padded = functional.pad(images, (self.padding,) * 4, mode="reflect")
        return _cropped(padded, images.shape, generator)


@dataclass(frozen=True)
class FilledCrop:
    """Shift every image by up to `padding` pixels either way; what comes in is of one colour.

    Attributes:
        fill: The colour, a number per channel, as the network takes it: black is 0 only where inputs are in [0, 1].
        padding: Largest shift in rows and in columns, each uniform [pixels].
    """

    fill: tuple[float, ...]
    padding: int = 4

    def __call__(self, images: Images, generator: torch.Generator) -> Images:
        """Return the batch, shifted."""
        n, n_channels, height, width = images.shape
        p = self.padding
        colour = torch.tensor(self.fill, dtype=images.dtype, device=images.device)[:, None, None]
        padded = colour.expand(n, n_channels, height + 2 * p, width + 2 * p).clone()
        padded[:, :, p : p + height, p : p + width] = images
        return _cropped(padded, images.shape, generator)


@dataclass(frozen=True)
class Cutout:
    """Fill a square of every image; its centre is any of the pixels, so that it may stand out over the border.

    Attributes:
        size: Of the square, an even number [pixels].
        fill: What it is filled with, as the network takes it.

    Source:
        DeVries & Taylor 2017; 16 pixels is their size for CIFAR-10.
    """

    size: int = 16
    fill: float = 0.0

    def __call__(self, images: Images, generator: torch.Generator) -> Images:
        """Return the batch, each with its square."""
        n, _, height, width = images.shape
        rows = self._covered(height, n, generator)
        columns = self._covered(width, n, generator)
        square = (rows[:, None, :, None] & columns[:, None, None, :]).to(images.device)
        return images.masked_fill(square, self.fill)

    def _covered(self, length: int, n: int, generator: torch.Generator) -> Tensor:
        """Which places along an axis the square covers, for each image."""
        first = torch.randint(length, (n, 1), generator=generator) - self.size // 2
        places = torch.arange(length)
        return (places >= first) & (places < first + self.size)


@dataclass(frozen=True)
class InTurn:
    """Several changes, one after the other.

    Attributes:
        steps: The changes, in their order.
    """

    steps: tuple[Callable[[Tensor, torch.Generator], Tensor], ...]

    def __call__(self, images: Images, generator: torch.Generator) -> Images:
        """Return the batch after all of them."""
        for step in self.steps:
            images = step(images, generator)
        return images


@dataclass(frozen=True)
class OnBytes:
    """A change of what a network takes, in [-1, 1], as a change of images as they are in the records.

    Attributes:
        change: As it is used in training.
    """

    change: Callable[[Tensor, torch.Generator], Tensor]

    def __call__(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the batch, record x row x column x channel of bytes, changed at random and rounded to bytes.

        Example:
            >>> images = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
            >>> same = OnBytes(InTurn(()))(images, np.random.default_rng(0))
            >>> bool((same == images).all()), same.dtype
            (True, dtype('uint8'))
        """
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        changed = self.change(from_minus_one_to_one(torch.from_numpy(images)), generator)
        levels = ((changed + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        return np.ascontiguousarray(levels.movedim(1, -1).numpy())


def _cropped(padded: Tensor, shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Cut an image of this shape out of each padded one, every place equally likely."""
    n, n_channels, height, width = shape
    top = torch.randint(padded.shape[2] - height + 1, (n, 1, 1), generator=generator) + torch.arange(height)[:, None]
    left = torch.randint(padded.shape[3] - width + 1, (n, 1, 1), generator=generator) + torch.arange(width)
    places = (top * padded.shape[3] + left).to(padded.device).flatten(1)[:, None].expand(-1, n_channels, -1)
    return padded.flatten(2).gather(2, places).reshape(shape)
