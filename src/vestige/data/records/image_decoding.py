"""Encoded images (JPEG, PNG, ...) as one array of bytes, all of one size; nothing is resized or converted silently."""

import importlib.util
import io
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import numpy as np

from vestige.core.errors import InputError
from vestige.core.progress import Progress

T = TypeVar("T")

_N_CHUNK = 256  # images a thread takes at once
_CHANNELS = {1: "grey", 3: "colour"}


def stack_images(
    batches: Iterable[Sequence[T]],
    n: int,
    *,
    load: Callable[[T, str], bytes],
    where: Callable[[int], str],
    n_threads: int,
    progress: Progress,
) -> np.ndarray:
    """Decode images into one array.

    Args:
        batches: What is to be decoded, in the order of the records; only one batch is held at a time.
        n: Number of images in all, one or more.
        load: Gives an item's bytes, or complains about what is called so in messages; called by the threads.
        where: What an image is called in messages, by its position.
        n_threads: How many images are decoded at once.
        progress: Told after every batch.

    Returns:
        uint8, record x height x width x channel (1 grey, 3 colour).

    Raises:
        InputError: An image is damaged or of a kind that would have to be converted, sizes are mixed, or pillow is
            not installed.
    """
    if importlib.util.find_spec("PIL") is None:
        raise InputError("Expected the package pillow for images, found none; pip install 'vestige[data]'.")
    images = np.empty(0, np.uint8)
    done = 0

    def fill(batch: Sequence[T], first: int) -> None:
        for i, item in enumerate(batch[first : first + _N_CHUNK], done + first):
            image = _decoded(load(item, where(i)), where(i))
            if image.shape != images.shape[1:]:
                raise InputError(
                    f"{where(i)}: Expected images of one size, found {_size(image)} beside {_size(images[0])} in "
                    f"{where(0)}; resize or convert them first, for example with Pillow's Image.resize and "
                    "Image.convert."
                )
            images[i] = image

    with ThreadPoolExecutor(n_threads) as executor:
        for batch in batches:
            if done == 0:
                images = np.empty((n, *_decoded(load(batch[0], where(0)), where(0)).shape), np.uint8)
            # Raises the first complaint in the order of the records.
            list(executor.map(partial(fill, batch), range(0, len(batch), _N_CHUNK)))
            done += len(batch)
            progress("decode images", done, n)
    return images


def _decoded(content: bytes, where: str) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            plain = _grey_or_colour(image)
            pixels = None if plain is None else np.asarray(plain)
            mode = "an animation" if getattr(image, "is_animated", False) else f"mode {image.mode}"
    except MemoryError:
        raise
    except Exception as error:  # a decoder raises whatever damaged bytes make it happen upon
        raise InputError(
            f"{where}: Expected an image, found one that cannot be decoded ({type(error).__name__}); replace it or "
            "leave the record out."
        ) from None
    if pixels is None:
        raise InputError(
            f"{where}: Expected a grey or RGB image of 8 bits, found {mode}; convert the images first, for example "
            "with Pillow's Image.convert('RGB')."
        )
    return pixels[..., np.newaxis] if pixels.ndim == 2 else pixels


def _grey_or_colour(image: Any) -> Any:
    """The image, if it is one of 8 bits or can be written as one without loss; else None."""
    if getattr(image, "is_animated", False):
        return None
    if image.mode in ("L", "RGB"):
        return image
    if image.mode == "1":
        return image.convert("L")
    return image.convert("RGB") if image.mode == "P" and "transparency" not in image.info else None


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]} x {image.shape[0]} {_CHANNELS[image.shape[2]]}"
