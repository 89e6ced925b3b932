"""Folders of many trained models, as research code leaves them: mi_lira_2021, lira-pytorch and ML Privacy Meter."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from vestige.core.errors import InputError, refuse_if
from vestige.core.messages import few
from vestige.core.outputs import Logits, Loss, Phi
from vestige.core.predictions import Predictions
from vestige.core.references import References
from vestige.data.formats.arrays import npy_file
from vestige.data.formats.classes import codes_of_array
from vestige.data.formats.files import PathLike, named

_KEEP, _MEMBERSHIPS, _LABELS = "keep.npy", "memberships.npy", "labels.npy"
_LARGEST_LOSS = 744.0  # of the smallest probability above 0


def holds_models(path: PathLike) -> bool:
    """Whether a folder holds many models' answers in one of the layouts that `read_model_folder` reads."""
    folder = Path(path)
    return folder.is_dir() and ((folder / _MEMBERSHIPS).is_file() or bool(_folders_of_models(folder)))


def read_model_folder(
    path: PathLike, labels: PathLike | None = None, *, label_base: int = 0
) -> tuple[Predictions, References]:
    """Read many models' answers about the same records: the first model is the target, the others are references.

    - lira-pytorch: a folder per model (`0`, `1`, ...) with `keep.npy` (records, whether the model was trained on each)
      and `logits.npy` (records x queries x classes) or `scores.npy` (records x queries, phi).
    - mi_lira_2021: folders `experiment-0_16`, ... with `keep.npy` and `logits/` or `scores/`, of which the last epoch
      that all models have is read (records x 1 x queries x classes, or records x 1 x queries).
    - ML Privacy Meter: `memberships.npy` (models x records) and one array in `signals/` (records x models): the
      probability of the true class.

    Models are numbered by the first number in their folders' names. The model that was trained on exactly the records
    that the target was not is left out: its membership would give the target's away.

    Args:
        path: The folder.
        labels: npy of the true class of each record; `labels.npy` in the folder if omitted. Not needed for scores and
            probabilities of the true class: all records then count as one class.
        label_base: What labels count from, 0 or 1.

    Returns:
        The target's predictions, and the other models' answers. Ids are the records' places in the arrays.

    Raises:
        InputError: It is no such folder, an array is missing or damaged, or arrays do not fit together.
    """
    folder = Path(path)
    with named(folder.name):
        models = _of_signals(folder) if (folder / _MEMBERSHIPS).is_file() else _of_folders(folder)
        given = Path(labels) if labels is not None else folder / _LABELS
        if labels is None and not given.is_file():
            refuse_if(
                (
                    models.kind is Logits,
                    f"Expected the true class of each record beside logits, found no {_LABELS}; give it with "
                    "--labels LABELS.npy.",
                )
            )
            codes = None
        else:
            codes = codes_of_array(npy_file(given).load(), None, label_base, "labels")
        return _target_and_others(models, codes)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Models:
    """Answers of many models, read a model at a time.

    Attributes:
        kind: `Logits` or `Phi`.
        answers: Reads one model's: records x queries, x classes of logits.
        member: Whether each was trained on each record, models x records.
        names: What the models are called.
        layout: Whose layout it is, in words.
    """

    kind: type[Logits] | type[Phi]
    answers: Any
    member: np.ndarray
    names: list[str]
    layout: str


@dataclass(frozen=True, eq=False)
class _Table:
    """The answers of some models as a `BlockTable`."""

    models: _Models
    numbers: list[int]
    shape: tuple[int, ...]
    name: ClassVar[str] = "answers of models"
    dtype: ClassVar[np.dtype[Any]] = np.dtype(np.float64)

    def blocks(self, n_rows: int) -> Iterator[np.ndarray]:
        """Yield consecutive models' answers."""
        for at in range(0, len(self.numbers), n_rows):
            yield np.stack([_one(self.models, number) for number in self.numbers[at : at + n_rows]])


def _one(models: _Models, number: int) -> np.ndarray:
    answers = np.asarray(models.answers(number), dtype=np.float64)
    n_axes = 2 if models.kind is Phi else 3
    if answers.ndim == n_axes + 1 and answers.shape[1] == 1:  # mi_lira_2021 keeps an axis of one
        answers = answers[:, 0]
    answers = answers[:, None] if answers.ndim == n_axes - 1 else answers
    n_records = models.member.shape[1]
    if answers.ndim != n_axes or len(answers) != n_records:
        axes = "records x queries" + (" x classes" if models.kind is Logits else "")
        raise InputError(
            f"Expected answers of model {models.names[number]} as {axes} for {n_records:,} records, found shape "
            f"{answers.shape}; save them again."
        )
    return answers


def _target_and_others(models: _Models, labels: np.ndarray | None) -> tuple[Predictions, References]:
    first, member = _one(models, 0), models.member
    ids = np.arange(len(first))
    numbers = [n for n in range(1, len(member)) if not (member[n] == ~member[0]).all()]
    refuse_if((not numbers, f"Expected other models than the target's, found {len(member)} in all; give more models."))
    gone = [models.names[n] for n in range(1, len(member)) if n not in numbers]
    without = f"; {few(gone)}, trained on exactly the other records, left out" if gone else ""
    roles = f"model {models.names[0]} is the target, {len(numbers)} others are references{without}"
    notes = [f"Read: {models.layout}: {roles}."]
    if labels is None:
        notes.append("Read: all records as of one class, for want of labels.")
        labels = np.zeros(len(first), dtype=np.int64)
    output = _output(models.kind, first[:, 0])
    target = Predictions(output, labels=labels, member=member[0], ids=ids, notes=tuple(notes))
    return target, References(
        models.kind,
        _Table(models, numbers, (len(numbers), *first.shape)),
        member[numbers],
        ids=ids,
        target=first,
    )


def _output(kind: type[Logits] | type[Phi], answers: np.ndarray) -> Logits | Phi | Loss:
    """What the target answered; as losses where phi is infinite, because the model was certain."""
    if kind is Phi and not np.isfinite(answers).all():
        return Loss(np.minimum(np.logaddexp(0.0, -answers), _LARGEST_LOSS))
    return kind(answers)


def _folders_of_models(folder: Path) -> list[Path]:
    """Folders with a model each, by the first number in their names."""
    numbered = [(re.search(r"\d+", path.parent.name), path.parent) for path in folder.glob(f"*/{_KEEP}")]
    return [path for _, path in sorted((int(number[0]), path) for number, path in numbered if number)]


def _of_folders(folder: Path) -> _Models:
    places = _folders_of_models(folder)
    refuse_if(
        (
            len(places) < 2,
            f"Expected a folder per model with {_KEEP} and logits or scores (lira-pytorch, mi_lira_2021), or "
            f"{_MEMBERSHIPS} and signals/ (ML Privacy Meter), found {len(places)} of them; name the folder above the "
            "models.",
        )
    )
    name, files, layout = _answers_of(places)
    keeps = [npy_file(place / _KEEP).load() for place in places]
    shapes = {keep.shape for keep in keeps}
    if len(shapes) > 1 or len(keeps[0].shape) != 1:
        found = few(sorted(map(str, shapes)))
        raise InputError(f"Expected one entry per record in each {_KEEP}, the same number in all, found {found}.")
    return _Models(
        kind=Logits if name == "logits" else Phi,
        answers=lambda number: npy_file(files[number]).load(),
        member=_as_bool(np.stack(keeps), _KEEP),
        names=[place.name for place in places],
        layout=layout,
    )


def _answers_of(places: list[Path]) -> tuple[str, list[Path], str]:
    """Whether logits or scores were kept, the file of each model, and the layout in words."""
    for name in ("logits", "scores"):
        files = [place / f"{name}.npy" for place in places]
        if all(file.is_file() for file in files):
            return name, files, f"{name} as lira-pytorch keeps them"
        common = set.intersection(*({path.name for path in (place / name).glob("*.npy")} for place in places))
        if common:
            last = max(common, key=lambda file: (len(file), file))
            return name, [place / name / last for place in places], f"{name} as mi_lira_2021 keeps them, of {last}"
    raise InputError(
        "Expected logits.npy or scores.npy, or a file in logits/ or scores/ that every model has, in "
        f"{few([place.name for place in places], 3)}, found none; let the models answer first."
    )


def _of_signals(folder: Path) -> _Models:
    member = _as_bool(npy_file(folder / _MEMBERSHIPS).load(), _MEMBERSHIPS)
    files = sorted((folder / "signals").glob("*.npy"))
    if len(files) != 1 or member.ndim != 2:
        found = f"{few([file.name for file in files])}" if files else "none"
        raise InputError(
            f"Expected one array in signals/ beside {_MEMBERSHIPS} of models x records, found {found} beside shape "
            f"{member.shape}; leave the one that the audit is to read."
        )
    signals = npy_file(files[0]).load()
    if signals.shape != member.T.shape or signals.dtype.kind != "f" or signals.min() < 0 or signals.max() > 1:
        raise InputError(
            f"Expected probabilities of the true class in {files[0].name}, records x models, {member.T.shape}, found "
            f"shape {signals.shape} with {signals.min():.4g} to {signals.max():.4g}; save softmax signals."
        )
    return _Models(
        kind=Phi,
        answers=lambda number: _phi_of_true_class(signals[:, number]),
        member=member,
        names=[str(number) for number in range(len(member))],
        layout="signals as ML Privacy Meter keeps them, the probability of the true class",
    )


def _phi_of_true_class(p: np.ndarray) -> np.ndarray:
    """Phi of the probability of the true class; infinite for 0 and 1."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(p.astype(np.float64)) - np.log1p(-p.astype(np.float64)))


def _as_bool(values: np.ndarray, name: str) -> np.ndarray:
    if values.dtype.kind not in "biuf" or not ((values == 0) | (values == 1)).all():
        raise InputError(f"Expected 0 or 1 in {name}, found others; 1 where the model was trained on the record.")
    return values.astype(bool)
