"""Image folders: a folder per class, its name the name of the class."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from vestige.core.errors import InputError
from vestige.core.messages import few
from vestige.core.progress import Progress, silent
from vestige.core.records import Records
from vestige.data.formats.files import PathLike, readable
from vestige.data.records.image_decoding import stack_images

_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
_N_BATCH = 2048  # files between two signs of life


def read_image_folder(folder: PathLike, *, n_threads: int = 2, progress: Progress = silent) -> Records:
    """Read `folder/class/image.png`, where any format of still images will do.

    Args:
        folder: The folder that holds the folders of the classes. Hidden files and folders are passed over.
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
    inputs = stack_images(
        (paths[i : i + _N_BATCH] for i in range(0, len(paths), _N_BATCH)),
        len(paths),
        load=_content,
        where=ids.__getitem__,
        n_threads=n_threads,
        progress=progress,
    )
    labels = np.array([path.parent.name for path in paths])
    others = [f"{name}/{f.name}" for name, found in files.items() for f in found if not _is_image(f)]
    notes = (f"Left out, as their endings are no images': {few(others)}.",) if others else ()
    return Records(inputs, labels, ids=ids, classes=list(images), notes=notes)


def read_two_image_folders(
    members: PathLike, nonmembers: PathLike, *, n_threads: int = 2, progress: Progress = silent
) -> tuple[Records, Records]:
    """Read the images a model was trained on and those it was not, as records of the same classes.

    Args:
        members: Folder of class folders, as for `read_image_folder`.
        nonmembers: Another one; a class may be in one of them only.
        n_threads: As for `read_image_folder`.
        progress: As for `read_image_folder`.

    Returns:
        Members and nonmembers; ids begin with the folder's name, so that images of one name stay apart.

    Raises:
        InputError: As `read_image_folder`; or both are the same folder, or their images differ in size.
    """
    folders = (Path(members), Path(nonmembers))
    roots = [folder.resolve() for folder in folders]
    if roots[0] == roots[1]:
        raise InputError(f"{roots[0].name}: Expected two folders, found the same as members and as nonmembers.")
    while len({root.name for root in roots}) == 1:  # such as site-a/images and site-b/images
        roots = [root.parent for root in roots]
    sides = [read_image_folder(folder, n_threads=n_threads, progress=progress) for folder in folders]
    shapes = ["height {} x width {} x {} channels".format(*side.inputs.shape[1:]) for side in sides]
    if shapes[0] != shapes[1]:
        raise InputError(
            f"{roots[1].name}: Expected images as in {roots[0].name}, {shapes[0]}, found {shapes[1]}; scale both alike."
        )
    classes = sorted({name for side in sides for name in side.classes})
    for i, (root, side) in enumerate(zip(roots, sides, strict=True)):
        labels, ids = np.array(side.classes)[side.labels], [f"{root.name}/{id_}" for id_ in side.ids.tolist()]
        sides[i] = replace(side, labels=labels, ids=ids, classes=classes)
    return sides[0], sides[1]


def _seen(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES


def _content(path: Path, _: str) -> bytes:
    with readable(path):
        return path.read_bytes()
