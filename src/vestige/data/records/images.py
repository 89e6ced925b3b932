"""Images: a folder per class, or Parquet files as on the Hugging Face hub; nothing is resized or converted unasked."""

import importlib.util
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from vestige.core.columns import column
from vestige.core.errors import InputError
from vestige.core.extras import installing
from vestige.core.messages import few
from vestige.core.progress import Progress, silent
from vestige.core.records import Codes, Records
from vestige.data.formats.files import Format, PathLike, expect_format, named, readable, row_ids
from vestige.data.formats.parquet_file import opened_parquet, whole_columns

T = TypeVar("T")

_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
_N_BATCH = 2048  # encoded images held at once, and between two signs of life
_N_CHUNK = 256  # images a thread takes at once
_CHANNELS = {1: "grey", 3: "colour"}
Decode = Callable[[bytes, str], np.ndarray]
"""Bytes of an image, and what it is called in messages -> height x width x channel, uint8."""

_PLAIN = {"mode L": "L", "mode RGB": "RGB", "mode 1": "L", "mode P": "RGB"}  # what is read or written as without loss


def as_it_is(content: bytes, where: str) -> np.ndarray:
    """Return a grey or RGB image of 8 bits as it is.

    Raises:
        InputError: It cannot be decoded, or would have to be converted.
    """

    def pixels(image: Any) -> np.ndarray:
        image.load()
        mode = "an animation" if getattr(image, "is_animated", False) else f"mode {image.mode}"
        plain = _PLAIN.get(mode) if "transparency" not in image.info or image.mode != "P" else None
        if plain is None:
            raise InputError(
                f"{where}: Expected a grey or RGB image of 8 bits, found {mode}; convert the images first, for example "
                "with Pillow's Image.convert('RGB')."
            )
        return np.asarray(image if plain == image.mode else image.convert(plain))

    return _decoded(content, where, pixels)


def scaled(content: bytes, where: str, *, size: int, mode: str) -> np.ndarray:
    """Return the central square of an image of any kind, scaled and converted.

    Args:
        content: The encoded image.
        where: What it is called in messages.
        size: Height and width of what is returned [pixels].
        mode: `L`, grey, or `RGB`, as Pillow calls them.

    Raises:
        InputError: It cannot be decoded.
    """
    from PIL import Image, ImageOps

    def pixels(image: Any) -> np.ndarray:
        image.draft(None, (2 * size, 2 * size))  # a JPEG is decoded at a fraction of its size: as good, and faster
        return np.asarray(ImageOps.fit(image.convert(mode), (size, size), Image.Resampling.BILINEAR))

    return _decoded(content, where, pixels)


def read_image_folder(
    folder: PathLike, *, decode: Decode = as_it_is, n_threads: int = 2, progress: Progress = silent
) -> Records:
    """Read `folder/class/image.png`, where any format of still images will do.

    Args:
        folder: The folder that holds the folders of the classes. Hidden files and folders are passed over.
        decode: Makes an array of an encoded image: as it is if omitted, or `scaled`.
        n_threads: How many images are decoded at once; worth it for large ones.
        progress: Told after every batch.

    Returns:
        Records sorted by class and file name, with uint8 inputs of record x height x width x channel, the path
        within the folder as id, and classes sorted by name. A note names the files that are no images by
        their ending.

    Raises:
        InputError: There is no class folder, or one has no image, an image cannot be read, or sizes are mixed.
    """
    root = Path(folder)
    if not root.is_dir():
        found = "a file" if root.exists() else "none there"
        raise InputError(f"{root.name}: Expected a folder of class folders, found {found}; check the path.")
    name = root.resolve().name
    with readable(root):
        folders = [path for path in _seen(root) if path.is_dir()]
        files = {path.name: [file for file in _seen(path) if file.is_file()] for path in folders}
    if not files:
        raise InputError(
            f"{name}: Expected one folder per class with its images, found no folder; sort the images into folders "
            "named after their classes."
        )
    images = {name: [f for f in found if _is_image(f)] for name, found in files.items()}
    empty = [name for name, found in images.items() if not found]
    if empty:
        raise InputError(
            f"{name}: Expected images in the folder of every class, found none in {few(empty)}; "
            "give the folder right above the images' folders, or remove these."
        )
    paths = [path for found in images.values() for path in found]
    ids = [path.relative_to(root).as_posix() for path in paths]
    inputs = read_images(paths, ids, decode=decode, n_threads=n_threads, progress=progress)
    labels = np.array([path.parent.name for path in paths])
    others = [f"{name}/{f.name}" for name, found in files.items() for f in found if not _is_image(f)]
    notes = (f"Left out, as their endings are no images': {few(others)}.",) if others else ()
    return Records(inputs, labels, ids=ids, classes=list(images), notes=notes)


def read_images(
    paths: Sequence[Path], ids: Sequence[str], *, decode: Decode, n_threads: int = 2, progress: Progress = silent
) -> np.ndarray:
    """Read images, each of which goes by its id in messages.

    Returns:
        uint8, record x height x width x channel.

    Raises:
        InputError: As `stack_images`.
    """
    return stack_images(
        (paths[i : i + _N_BATCH] for i in range(0, len(paths), _N_BATCH)),
        len(paths),
        load=_content,
        where=ids.__getitem__,
        n_threads=n_threads,
        progress=progress,
        decode=decode,
    )


def read_image_folders(folders: Sequence[Path]) -> list[Records]:
    """Read one folder of class folders, or two, of members and nonmembers, as records of the same classes.

    Args:
        folders: As for `read_image_folder`; of two, a class may be in one of them only.

    Returns:
        The records of each; of two folders, ids begin with the folder's name, so that images of one name stay apart.

    Raises:
        InputError: As `read_image_folder`; or both are the same folder, or their images differ in size.
    """
    if len(folders) == 1:
        return [read_image_folder(folders[0])]
    roots = [folder.resolve() for folder in folders]
    if roots[0] == roots[1]:
        raise InputError(f"{roots[0].name}: Expected two folders, found the same as members and as nonmembers.")
    while len({root.name for root in roots}) == 1:  # such as site-a/images and site-b/images
        roots = [root.parent for root in roots]
    sides = [read_image_folder(folder) for folder in folders]
    shapes = ["height {} x width {} x {} channels".format(*side.inputs.shape[1:]) for side in sides]
    if shapes[0] != shapes[1]:
        raise InputError(
            f"{roots[1].name}: Expected images as in {roots[0].name}, {shapes[0]}, found {shapes[1]}; scale both alike."
        )
    classes = sorted({name for side in sides for name in side.classes})
    return [
        replace(
            side,
            labels=np.array(side.classes)[side.labels],
            ids=[f"{root.name}/{id_}" for id_ in side.ids.tolist()],
            classes=classes,
        )
        for root, side in zip(roots, sides, strict=True)
    ]


def _seen(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES


def _content(path: Path, _: str) -> bytes:
    with readable(path):
        return path.read_bytes()


# ------------------------------------------------------------------------------------------------------- Parquet


@dataclass(frozen=True, eq=False)
class _Part:
    """One file: what is read before any image is decoded."""

    path: Path
    images: str  # the column, or the field in it, that holds the encoded images
    labels: np.ndarray
    classes: tuple[str, ...] | None


def read_image_parquet(
    *files: PathLike,
    image: str = "image",
    label: str = "label",
    classes: Sequence[str] | None = None,
    n_threads: int = 2,
    progress: Progress = silent,
) -> Records:
    """Read images and labels from Parquet files, one after the other, as the records of one set.

    Args:
        files: One file, or the shards or parts of a set in order. Encoded images are read in batches: all that is
            held are the decoded ones.
        image: The column of images: encoded bytes, or a struct with the field `bytes`.
        label: The column of labels: numbers or names.
        classes: Class names in the order of the codes; if omitted, those in the hub's metadata, if there are any.
        n_threads: How many images are decoded at once; worth it for large ones.
        progress: Told after every batch.

    Returns:
        Records with uint8 inputs of record x height x width x channel, and file and row as ids.

    Raises:
        InputError: A file is damaged or lacks a column, an image or label is missing, an image cannot be decoded,
            or sizes are mixed.
    """
    parts = [_part(Path(path), image, label) for path in files]
    sizes = [part.labels.size for part in parts]
    if sum(sizes) == 0:
        raise InputError("Expected Parquet files with at least one image, found none; name the files.")
    labels, of = np.concatenate([part.labels for part in parts]), np.repeat(np.arange(len(parts)), sizes)

    def where(i: int) -> str:
        return f"{parts[of[i]].path.name}[row {i - sum(sizes[: of[i]]) + 1:,}]"

    batches = (batch for part in parts for batch in _encoded(part, image))
    images = stack_images(batches, labels.size, load=_present, where=where, n_threads=n_threads, progress=progress)
    # With its folder where two files have one name, as the hub's `train/0000.parquet`.
    paths, n_of_name = [part.path for part in parts], Counter(part.path.name for part in parts)
    names_of_files = [p.name if n_of_name[p.name] == 1 else f"{p.resolve().parent.name}/{p.name}" for p in paths]
    ids = np.concatenate(list(map(row_ids, names_of_files, sizes)))
    names = classes or parts[0].classes
    with named(parts[0].path.name):
        codes = Codes(names) if names is not None and labels.dtype.kind in "iu" else names
        return Records(images, labels, ids=ids, classes=codes)


def _part(path: Path, image: str, label: str) -> _Part:
    expect_format(path, Format.PARQUET)
    with opened_parquet(path, pre_buffer=False) as file:
        schema = file.schema_arrow
        for name, option in ((image, "image"), (label, "label")):
            if name not in schema.names:
                raise InputError(
                    f"{path.name}: Expected a column {name}, found {few(schema.names)}; name another with {option}=."
                )
        labels = whole_columns(file.read(columns=[label]), path.name).column(0)
        plain = labels.to_numpy() if labels.null_count == 0 else np.array(labels.to_pylist(), dtype=object)
    with named(path.name):
        checked = column(plain, f"column {label}", len(plain), "images")
        fields = schema.field(image).flatten()  # of a struct, or itself
        kinds = {field.name: str(field.type) for field in fields}
        encoded = [name for name in (image, f"{image}.bytes") if kinds.get(name) in ("binary", "large_binary")]
        if not encoded:
            raise InputError(
                f"Expected encoded images in column {image}, bytes or a struct with a field bytes, found "
                f"{schema.field(image).type}; name another with image=."
            )
        return _Part(path, encoded[0], checked, _classes(schema.metadata, label))


def _classes(metadata: Any, label: str) -> tuple[str, ...] | None:
    """Class names as the hub's library writes them into the schema."""
    try:
        names = json.loads((metadata or {})[b"huggingface"])["info"]["features"][label]["names"]
        return tuple(str(name) for name in names)
    except (KeyError, TypeError, ValueError):
        return None


def _encoded(part: _Part, image: str) -> Iterator[list[bytes | None]]:
    with opened_parquet(part.path, pre_buffer=False) as file:
        for batch in file.iter_batches(_N_BATCH, columns=[part.images]):
            values = batch.column(0).to_pylist()
            yield values if part.images == image else [value and value["bytes"] for value in values]


def _present(content: bytes | None, where: str) -> bytes:
    if content is None:
        raise InputError(
            f"{where}: Expected an encoded image, found none, or only a path; embed the images in the file."
        )
    return content


# ------------------------------------------------------------------------------------------------------ decoding


def stack_images(
    batches: Iterable[Sequence[T]],
    n: int,
    *,
    load: Callable[[T, str], bytes],
    where: Callable[[int], str],
    n_threads: int,
    progress: Progress,
    decode: Decode = as_it_is,
) -> np.ndarray:
    """Decode images into one array.

    Args:
        batches: What is to be decoded, in the order of the records; only one batch is held at a time.
        n: Number of images in all, one or more.
        load: Gives an item's bytes, or complains about what is called so in messages; called by the threads.
        where: What an image is called in messages, by its position.
        n_threads: How many images are decoded at once.
        progress: Told after every batch.
        decode: Makes an array of an encoded image.

    Returns:
        uint8, record x height x width x channel (1 grey, 3 colour).

    Raises:
        InputError: An image is damaged or of a kind that would have to be converted, sizes are mixed, or pillow is
            not installed.
    """
    if importlib.util.find_spec("PIL") is None:
        raise InputError(f"Expected the package pillow for images, found none; {installing('data')}.")
    images = np.empty(0, np.uint8)
    done = 0

    def fill(batch: Sequence[T], first: int) -> None:
        for i, item in enumerate(batch[first : first + _N_CHUNK], done + first):
            image = decode(load(item, where(i)), where(i))
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
                images = np.empty((n, *decode(load(batch[0], where(0)), where(0)).shape), np.uint8)
            # Raises the first complaint in the order of the records.
            list(executor.map(partial(fill, batch), range(0, len(batch), _N_CHUNK)))
            done += len(batch)
            progress("decode images", done, n)
    return images


def _decoded(content: bytes, where: str, pixels: Callable[[Any], np.ndarray]) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as image:
            found = pixels(image)
    except (MemoryError, InputError):
        raise
    except Exception as error:  # a decoder raises whatever damaged bytes make it happen upon
        raise InputError(
            f"{where}: Expected an image, found one that cannot be decoded ({type(error).__name__}); replace it or "
            "leave the record out."
        ) from None
    return found[..., np.newaxis] if found.ndim == 2 else found


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]} x {image.shape[0]} {_CHANNELS[image.shape[2]]}"
