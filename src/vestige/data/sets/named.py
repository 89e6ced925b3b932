"""Data sets by name: what they are, which files they consist of, and where those are looked for.

The folder is that of the environment variable VESTIGE_DATA, or `vestige/data` in the user's cache. Nothing here uses
the network; `fetch` does.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType

from vestige.core.errors import InputError
from vestige.core.messages import few
from vestige.core.records import Records, joined

VARIABLE = "VESTIGE_DATA"

_UCI = "https://archive.ics.uci.edu/ml/machine-learning-databases"
_SHOKRI = "https://github.com/privacytrustlab/datasets/raw/master"
_MNIST = "https://storage.googleapis.com/cvdf-datasets/mnist"
_CIFAR = "https://www.cs.toronto.edu/~kriz"


@dataclass(frozen=True)
class SourceFile:
    """A file of a set.

    Attributes:
        path: Where it lies, below the data folder.
        url: Where it is published; None: nowhere that could be fetched from.
        sha256: Checksum of the published file; None: not known, and recorded when it is fetched first.
        unpacked_sha256: Checksum of what is in it, if it may be packed anew.
    """

    path: str
    url: str | None = None
    sha256: str | None = None
    unpacked_sha256: str | None = None

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class NamedSet:
    """A data set known by name.

    Attributes:
        name: What it is called.
        description: What it is, in a line.
        n_records: Records in all; a training part comes first, the test part after it.
        n_train: Records of the training part; all of them where the publisher makes no parts.
        shape: Shape of one record's inputs.
        n_classes: Number of classes.
        origin: Who publishes it.
        licence: Under what terms.
        files: What is fetched, and given to `read` in this order.
        read: Reads the files.
        alternatives: Other files, below the data folder, that `read` takes as well: the first that are there.
    """

    name: str
    description: str
    n_records: int
    n_train: int
    shape: tuple[int, ...]
    n_classes: int
    origin: str
    licence: str
    files: tuple[SourceFile, ...]
    read: Callable[..., Records]
    alternatives: tuple[tuple[str, ...], ...] = ()

    def found(self, folder: Path) -> tuple[Path, ...] | None:
        """Return the files of the set in a folder; None if it is not there."""
        for layout in (tuple(file.path for file in self.files), *self.alternatives):
            paths = tuple(folder / path for path in layout)
            if all(path.exists() for path in paths):
                return paths
        return None


def data_folder() -> Path:
    """Return the folder of data sets: VESTIGE_DATA, else `vestige/data` in the user's cache."""
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "vestige" / "data"


def folder_in_words() -> str:
    """Return what messages call the data folder: they show no paths."""
    return f"the folder {VARIABLE}" if os.environ.get(VARIABLE) else "the user's cache (vestige/data)"


def named_set(name: str) -> NamedSet:
    """Return what is known about a data set.

    Raises:
        InputError: There is none of that name.

    Example:
        >>> named_set("location30").shape
        (446,)
    """
    if name in SETS:
        return SETS[name]
    close = get_close_matches(name, SETS, n=1)
    cure = f"did you mean {close[0]}?" if close else "see vestige data list."
    raise InputError(f"Expected one of {few(list(SETS), len(SETS))}, found {name!r}; {cure}")


def load(name: str, *, folder: Path | None = None) -> Records:
    """Read a named data set from the data folder.

    Args:
        name: Such as `adult`; `SETS` has all.
        folder: Where the data sets are; `data_folder()` if omitted.

    Returns:
        All records, those of the training part before those of the test part.

    Raises:
        InputError: There is no such set, its files are not there, or they are damaged.
    """
    wanted = named_set(name)
    root = data_folder() if folder is None else folder
    paths = wanted.found(root)
    if paths is None:
        where = folder_in_words() if folder is None else "the folder"
        missing = [file.path for file in wanted.files if not (root / file.path).exists()]
        raise InputError(
            f"{name}: Expected {few([file.path for file in wanted.files])} in {where}, found no {few(missing)}; "
            f"{_cure(wanted)}."
        )
    return wanted.read(*paths)


def _cure(wanted: NamedSet) -> str:
    own = f"set {VARIABLE} to the folder that holds them"
    if any(file.url is None for file in wanted.files):
        return own
    return f"run vestige data fetch {wanted.name}, or {own}"


def _mnist(train_images: Path, train_labels: Path, test_images: Path, test_labels: Path) -> Records:
    from vestige.data.sets.idx import read_idx_images

    return joined(read_idx_images(train_images, train_labels), read_idx_images(test_images, test_labels))


def _cifar10(source: Path) -> Records:
    from vestige.data.sets.cifar import read_cifar10

    return joined(*read_cifar10(source))


def _cifar100(source: Path) -> Records:
    from vestige.data.sets.cifar import read_cifar100

    return joined(*read_cifar100(source))


def _cifar10_jpeg(train: Path, test: Path) -> Records:
    from vestige.data.records.image_parquet import read_image_parquet

    return read_image_parquet(train, test, classes=[str(digit) for digit in range(10)])


def _location30(source: Path) -> Records:
    from vestige.data.sets.published_sets import read_location30

    return read_location30(source)


def _purchase100(source: Path) -> Records:
    from vestige.data.sets.published_sets import read_purchase100

    return read_purchase100(source)


def _texas100(source: Path) -> Records:
    from vestige.data.sets.published_sets import read_texas100

    return read_texas100(source)


def _adult(train: Path, test: Path) -> Records:
    from vestige.data.sets.uci import read_adult

    return read_adult(train, test)


def _adult_p3(train: Path, test: Path) -> Records:
    from vestige.data.sets.uci_preprocessing import adult_p3

    return adult_p3(_adult(train, test))


def _adult_p4(train: Path, test: Path) -> Records:
    from vestige.data.sets.uci_preprocessing import adult_p4

    return adult_p4(_adult(train, test))


def _german(path: Path) -> Records:
    from vestige.data.sets.uci import read_german_credit

    return read_german_credit(path)


def _german_p4(path: Path) -> Records:
    from vestige.data.sets.uci_preprocessing import ordinal_p4

    return ordinal_p4(_german(path))


def _hepatitis(path: Path) -> Records:
    from vestige.data.sets.uci import read_hepatitis

    return read_hepatitis(path)


def _hepatitis_p4(path: Path) -> Records:
    from vestige.data.sets.uci_preprocessing import ordinal_p4

    return ordinal_p4(_hepatitis(path))


def _mnist_file(name: str, sha256: str, unpacked_sha256: str) -> SourceFile:
    return SourceFile(f"mnist/{name}.gz", f"{_MNIST}/{name}.gz", sha256, unpacked_sha256)


def _uci_file(folder: str, name: str, sha256: str) -> SourceFile:
    return SourceFile(f"uci/{name}", f"{_UCI}/{folder}/{name}", sha256)


_MNIST_FILES = (
    _mnist_file(
        "train-images-idx3-ubyte",
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    _mnist_file(
        "train-labels-idx1-ubyte",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    _mnist_file(
        "t10k-images-idx3-ubyte",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    _mnist_file(
        "t10k-labels-idx1-ubyte",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)
_ADULT_FILES = (
    _uci_file("adult", "adult.data", "5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d"),
    _uci_file("adult", "adult.test", "a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05"),
)
_GERMAN_FILES = (
    _uci_file("statlog/german", "german.data", "a77665800fb25e45da472edeaecb49fe128f73d97bd04bd712cfa8126f332b12"),
)
_HEPATITIS_FILES = (
    _uci_file("hepatitis", "hepatitis.data", "ec3294b5e45a691435c4c69cd8bc1efb5bf01a86a676b32ab9cbc72a4b0ba7d8"),
)
_CIFAR10_FILES = (
    SourceFile(
        "cifar10/cifar-10-binary.tar.gz",
        f"{_CIFAR}/cifar-10-binary.tar.gz",
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    ),
)
_CIFAR100_FILES = (
    SourceFile(
        "cifar100/cifar-100-binary.tar.gz",
        f"{_CIFAR}/cifar-100-binary.tar.gz",
        "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    ),
)
_LOCATION30_FILES = (
    SourceFile(
        "location30/dataset_location.tgz",
        f"{_SHOKRI}/dataset_location.tgz",
        "927203f85a868f8ee17a0ded1dc61699efe602167beabe34fbf45b4b1de94b33",
    ),
)

_CENSUS, _CREDIT, _LIVER = ("UCI, 1996", "UCI (Statlog), 1994", "UCI, 1988")
_BY = "CC BY 4.0"
_UNSTATED = "none stated"

_ALL = (
    NamedSet(
        "mnist", "handwritten digits", 70_000, 60_000, (28, 28, 1), 10, "LeCun, Cortes and Burges, 1998", _UNSTATED,
        _MNIST_FILES, _mnist, (tuple(file.path.removesuffix(".gz") for file in _MNIST_FILES),),
    ),
    NamedSet(
        "cifar10", "small colour photographs", 60_000, 50_000, (32, 32, 3), 10, "Krizhevsky, 2009", _UNSTATED,
        _CIFAR10_FILES, _cifar10,
        (("cifar10/cifar-10-python.tar.gz",), ("cifar10/cifar-10-batches-bin",), ("cifar10/cifar-10-batches-py",)),
    ),
    NamedSet(
        "cifar100", "small colour photographs", 60_000, 50_000, (32, 32, 3), 100, "Krizhevsky, 2009", _UNSTATED,
        _CIFAR100_FILES, _cifar100,
        (("cifar100/cifar-100-python.tar.gz",), ("cifar100/cifar-100-binary",), ("cifar100/cifar-100-python",)),
    ),
    NamedSet(
        "cifar10-jpeg", "CIFAR-10 encoded anew as JPEG, sorted by class: close to it, not the same numbers",
        60_000, 50_000, (32, 32, 3), 10, "Krizhevsky, 2009; a public copy", _UNSTATED,
        (SourceFile("cifar10-jpeg/train.parquet"), SourceFile("cifar10-jpeg/test.parquet")), _cifar10_jpeg,
    ),
    NamedSet(
        "location30", "kinds of places visited in Bangkok, in 30 clusters", 5_010, 5_010, (446,), 30,
        "Shokri et al., 2017, from Foursquare", _UNSTATED, _LOCATION30_FILES, _location30,
    ),
    NamedSet(
        "purchase100", "products bought, in 100 clusters", 197_324, 197_324, (600,), 100,
        "Shokri et al., 2017, from Kaggle's valued shoppers", _UNSTATED,
        (SourceFile("purchase100/dataset_purchase.tgz", f"{_SHOKRI}/dataset_purchase.tgz"),), _purchase100,
    ),
    NamedSet(
        "texas100", "hospital stays, by 100 procedures", 67_330, 67_330, (6_169,), 100,
        "Shokri et al., 2017, from the state of Texas", _UNSTATED,
        (SourceFile("texas100/dataset_texas.tgz", f"{_SHOKRI}/dataset_texas.tgz"),), _texas100,
    ),
    NamedSet(
        "adult", "census records, income above 50,000 dollars or not", 48_842, 32_561, (14,), 2, _CENSUS, _BY,
        _ADULT_FILES, _adult,
    ),
    NamedSet(
        "adult-p3", "adult as numbers, as P3 prepares it", 48_842, 32_561, (107,), 2, _CENSUS, _BY,
        _ADULT_FILES, _adult_p3,
    ),
    NamedSet(
        "adult-p4", "adult as numbers, as P4 prepares it", 48_842, 32_561, (103,), 2, _CENSUS, _BY,
        _ADULT_FILES, _adult_p4,
    ),
    NamedSet(
        "german-credit", "loans, repaid or not", 1_000, 1_000, (20,), 2, _CREDIT, _BY, _GERMAN_FILES, _german,
    ),
    NamedSet(
        "german-credit-p4", "german-credit as numbers, as P4 prepares it", 1_000, 1_000, (20,), 2, _CREDIT, _BY,
        _GERMAN_FILES, _german_p4,
    ),
    NamedSet(
        "hepatitis", "patients, survived or not", 155, 155, (19,), 2, _LIVER, _BY, _HEPATITIS_FILES, _hepatitis,
    ),
    NamedSet(
        "hepatitis-p4", "hepatitis as numbers, as P4 prepares it", 155, 155, (19,), 2, _LIVER, _BY,
        _HEPATITIS_FILES, _hepatitis_p4,
    ),
)  # fmt: skip

SETS: Mapping[str, NamedSet] = MappingProxyType({known.name: known for known in _ALL})
"""All named data sets."""
