"""`MirrorAndShifts` and `PipelineDraws`: changed copies of a record that a model is asked about besides the record."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Num

from vestige.core.errors import InputError
from vestige.core.schema import Schema, Written
from vestige.core.seeds import stream

_FEW = (1, 2, 3, 4)  # channels that an image may have, where its axes are told apart by their length


@runtime_checkable
class Views(Protocol):
    """How every record is changed, the same for all models that are asked."""

    @property
    def n_views(self) -> int:
        """Queries about each record, the record itself among them."""

    def others(self, images: Any) -> Iterator[Num[np.ndarray, "record ..."]]:
        """Yield all views but the record itself, one after the other, each of all records."""


@dataclass(frozen=True)
class PipelineDraws:
    """The record, and random copies of it as the training pipeline makes them.

    Attributes:
        augment: The pipeline: from a batch of inputs, as they are in the records, and a NumPy generator to the batch
            changed at random, of the same shape and dtype. It takes all of its randomness from the generator.
        n_draws: Copies of every record.
        seed: Of the draws, which are the same for every model.

    Raises:
        InputError: There is no pipeline, or no draw.

    Example:
        >>> def louder(batch, rng):
        ...     return batch + rng.random((len(batch), 1))
        >>> views = PipelineDraws(louder, n_draws=2)
        >>> views.n_views, [draw.shape for draw in views.others(np.zeros((3, 1)))]
        (3, [(3, 1), (3, 1)])

    Source:
        Watson et al. 2022, published code: ten draws of the training augmentation, over which scores are averaged.
        Deviation: the record as it is counts as one more, because attacks on one query read that.
    """

    augment: Callable[[np.ndarray, np.random.Generator], Any]
    n_draws: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        pipeline: Any = self.augment
        if not callable(pipeline) or self.n_draws < 1:
            found = f"{self.n_draws} draws" if callable(pipeline) else repr(pipeline)
            raise InputError(
                f"Expected a function from a batch and a generator to a batch, and at least 1 draw of it, found "
                f"{found}; give the pipeline that training used."
            )

    @property
    def n_views(self) -> int:
        """Queries about each record, the record itself among them."""
        return 1 + self.n_draws

    def others(self, images: Any) -> Iterator[Num[np.ndarray, "record ..."]]:
        """Yield the draws, each of all records; in which order records stand decides nothing.

        Raises:
            InputError: They are no array, or the pipeline does not return a batch like the one it was given.
        """
        if not isinstance(images, np.ndarray):
            raise InputError("Expected inputs as an array for draws of a pipeline, found a table; leave the views out.")
        keys = [hashlib.sha256(row.tobytes()).digest() for row in images]
        order = np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)
        for number in range(self.n_draws):
            found = self.augment(images[order], stream(self.seed, f"draw {number} of the pipeline"))
            if not isinstance(found, np.ndarray) or (found.shape, found.dtype) != (images.shape, images.dtype):
                raise InputError(
                    f"Expected the pipeline to return an array of {images.dtype} of shape {images.shape}, found "
                    f"{getattr(found, 'dtype', type(found).__name__)} of shape {getattr(found, 'shape', None)}; it "
                    "takes inputs as they are in the records, and must return such."
                )
            draw = np.empty_like(found)
            draw[order] = found
            yield draw


@dataclass(frozen=True)
class MirrorAndShifts(Schema):
    """The image, mirrored or not, at every shift of up to some pixels: 2 (2 s + 1)^2 views for a shift of s.

    What a shift brings in is the image's reflection at the border, which does not repeat the outermost pixels.

    Attributes:
        shift: Largest shift in rows and in columns [pixels]; 0 for none.
        mirror: Whether left and right change places in half of the views.
        channels: Where the images' channels are in the records, `first` or `last`; told by the axes if omitted.

    Raises:
        InputError: The shift is negative, or there is but one view.

    Example:
        >>> views = MirrorAndShifts(shift=1)
        >>> views.n_views
        18
        >>> [v[0, :, 0].tolist() for v in MirrorAndShifts(0).others(np.array([[[1, 2, 3], [4, 5, 6]]]))]
        [[3, 6]]

    Source:
        Carlini et al. 2022: the image and its mirror by default in their code, 18 views in the published results.
    """

    shift: int = 1
    mirror: bool = True
    channels: Annotated[str | None, Written(Literal["first", "last"] | None)] = None

    def __post_init__(self) -> None:
        if isinstance(self.shift, bool) or self.shift < 0:
            raise InputError(f"Expected a largest shift of 0 pixels or more, found {self.shift}.")
        if self.channels not in (None, "first", "last"):
            raise InputError(f"Expected channels first or last, found {self.channels!r}.")
        if self.n_views == 1:
            raise InputError("Expected a shift or a mirror, found neither; leave the views out.")

    @property
    def n_views(self) -> int:
        """Views of each image, the image itself among them."""
        return (1 + self.mirror) * (2 * self.shift + 1) ** 2

    def others(self, images: Any) -> Iterator[Num[np.ndarray, "record ..."]]:
        """Yield all views but the image itself, one after the other, each of all images.

        The order is the same for all images: unmirrored first, then by rows and by columns of the shift.

        Args:
            images: Records x rows x columns, with an axis of channels before or after those of pixels.

        Raises:
            InputError: They are no images, it cannot be told where their channels are, or they are no larger than
                the shift.
        """
        rows, columns = self._axes(images)
        for flipped in (False, True) if self.mirror else (False,):
            image = np.flip(images, columns) if flipped else images
            for down in range(-self.shift, self.shift + 1):
                for right in range(-self.shift, self.shift + 1):
                    if flipped or down or right:
                        yield np.ascontiguousarray(_shifted(_shifted(image, rows, down), columns, right))

    def _axes(self, images: Any) -> tuple[int, int]:
        """The axes of rows and of columns."""
        if hasattr(images, "columns") or images.ndim not in (3, 4):
            found = "a DataFrame" if hasattr(images, "columns") else f"shape {images.shape}"
            raise InputError(
                f"Expected images, record x height x width x channel, for views that mirror and shift, found {found}; "
                "leave the views out."
            )
        axes = (1, 2) if images.ndim == 3 or self._channels_of(images.shape) == "last" else (2, 3)
        if min(images.shape[axis] for axis in axes) <= self.shift:
            raise InputError(
                f"Expected images of more than {self.shift} pixels each way for shifts of {self.shift}, found shape "
                f"{images.shape}; take smaller shifts."
            )
        return axes

    def _channels_of(self, shape: tuple[int, ...]) -> str:
        if self.channels is not None:
            return self.channels
        first, last = shape[1] in _FEW, shape[3] in _FEW
        if first == last:
            raise InputError(
                f'Expected images whose channels can be told from their shape, found {shape}; give channels="first" '
                'or "last" with the views.'
            )
        return "first" if first else "last"


def with_views(first: np.ndarray, others: Iterable[np.ndarray], n_views: int) -> np.ndarray:
    """Return one model's answers to every view, records x views x classes, from those to each view in turn."""
    views = np.empty((len(first), n_views, *first.shape[1:]), dtype=first.dtype)
    views[:, 0] = first
    for number, answers in enumerate(others, start=1):
        views[:, number] = answers
    return views


def _shifted(images: np.ndarray, axis: int, by: int) -> np.ndarray:
    """Move the content of an axis; what comes in is the reflection."""
    if by == 0:
        return images
    n = images.shape[axis]
    places = np.abs(np.arange(n) - by)
    return np.take(images, np.where(places >= n, 2 * (n - 1) - places, places), axis=axis)
