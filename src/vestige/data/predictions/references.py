"""Reference models in one file: what each answered about the audited records, and on which of them it was trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np

from vestige.core.errors import ArtefactError, InputError
from vestige.core.messages import few
from vestige.core.outputs import Logits, Output, Phi, Probabilities
from vestige.core.references import References
from vestige.data.formats.arrays import NpzFile, StoredArrays
from vestige.data.formats.classes import codes_of_array
from vestige.data.formats.files import TABLES, Format, PathLike, TableSource, format_of, named
from vestige.data.predictions.arrays import REFERENCE, refuse_other_classes
from vestige.data.predictions.columns import Columns
from vestige.data.predictions.scores import read_scores
from vestige.data.signals.layout import AT_THE_END, DRAWN_TOGETHER, MEMBER
from vestige.data.signals.store import FOLDER, SignalStore

_TARGET = "target_"
_KINDS: dict[str, type[Output]] = {"logits": Logits, "probs": Probabilities, "phi": Phi}
_RUN_KINDS: dict[str, type[Output]] = {"logits": Logits, "probabilities": Probabilities}


def read_references(path: PathLike, *, label_base: int = 0, classes: Sequence[str] | None = None) -> References:
    """Read reference models' answers from an npz file, a Zarr group or the folder of a run that trained some.

    Keys: `reference_phi` (models x records), `reference_logits` or `reference_probs` (models x records x classes),
    each with an axis of queries after the records if there are several, the record as it is first; `reference_member`
    (models x records, 0 and 1); optional `reference_ids`, `reference_labels`, `reference_classes` (names of the
    columns), and `target_phi`, `target_logits` or `target_probs`: what the target answered about the same records and
    queries. Large arrays stay in the file.

    Args:
        path: File or folder. Nothing in it is unpickled.
        label_base: What integer labels count from, 0 or 1.
        classes: The target's class names, if it has any; for labels that are names.

    Returns:
        The reference models.

    Raises:
        InputError: A key is missing or there twice, the file is damaged or of another format, or what is in it does
            not fit together.
        ArtefactError: The signals of a run are damaged.
    """
    path = Path(path)
    with named(path.name):
        if path.is_dir():
            if (path / FOLDER).is_dir():
                return _of_run(path / FOLDER)
            from vestige.data.formats.zarr_group import ZarrGroup

            return _of_arrays(ZarrGroup(path), label_base, classes)
        return _of_arrays(NpzFile(path), label_base, classes)


def references_beside(path: TableSource, columns: Columns, classes: Sequence[str] | None) -> References | None:
    """Return the reference models whose answers are in the file of the target's, or in its frame; None if none are.

    Args:
        path: As of `read_predictions`.
        columns: How its columns are named.
        classes: The target's class names, if it has any.

    Raises:
        InputError: As of `read_references`.
    """
    kind = format_of(path)
    if kind is Format.NPZ and any(key.startswith(REFERENCE) for key in NpzFile(cast(PathLike, path)).keys):
        return read_references(cast(PathLike, path), label_base=columns.label_base, classes=classes)
    of_scores = read_scores(path, columns) if kind in TABLES else None
    return None if of_scores is None else of_scores[1]


def _of_arrays(file: StoredArrays, label_base: int, classes: Sequence[str] | None) -> References:
    kinds = [kind for kind in _KINDS if REFERENCE + kind in file.keys]
    if len(kinds) != 1:
        expected = ", ".join(REFERENCE + kind for kind in _KINDS)
        found = few([REFERENCE + kind for kind in kinds]) if kinds else few(file.keys, 12)
        raise InputError(f"Expected one of the arrays {expected}, found {found}; save the answers under one of them.")
    (kind,) = kinds
    file.require([REFERENCE + "member"], "add it")
    key_of_names = next((key for key in (REFERENCE + "classes", "classes") if key in file.keys), None)
    if key_of_names is not None:
        refuse_other_classes(file.class_names(key_of_names), classes, "the reference models")
    labels = file.optional(REFERENCE + "labels")
    answers = file.table(REFERENCE + kind)
    target = file.optional(_TARGET + kind)
    others = [_TARGET + other for other in _KINDS if other != kind and _TARGET + other in file.keys]
    if others:
        raise InputError(f"Expected the target's answers as target_{kind}, as the references', found {others[0]}.")
    n_axes = (2 if kind == "phi" else 3, len(answers.shape) - 1)  # with an axis of queries
    if target is None and kind in file.keys and n_axes == (len(file.table(kind).shape),) * 2:
        target = file.load(kind)
    return References(
        _KINDS[kind],
        answers,
        file.load(REFERENCE + "member"),
        ids=file.optional(REFERENCE + "ids"),
        labels=None if labels is None else codes_of_array(labels, classes, label_base, "labels of the references"),
        target=target,
    )


def _of_run(folder: Path) -> References:
    store = SignalStore.open(folder)
    kind = next((name for name in _RUN_KINDS if name in store.variables), None)
    if kind is None:
        raise InputError(f"Expected logits or probabilities in the run, found {few(list(store.variables))}.")
    rows = np.flatnonzero(store.complete() & (store.models.epoch == AT_THE_END))
    if rows.size == 0:
        raise ArtefactError(f"{folder.parent.name}: Expected a finished shadow model, found none; finish the run.")
    together = store.made_from.get(DRAWN_TOGETHER)
    return References(
        _RUN_KINDS[kind],
        store.table(kind, rows),
        store.read(MEMBER, rows=rows),
        ids=store.ids,
        groups=None if together is None else store.models.model[rows] // int(together),
    )
