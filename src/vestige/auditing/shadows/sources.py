"""Source models: like the target, but trained on records of their own; thresholds are set on all of them together."""

from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool

from vestige.auditing.shadows.settings import ShadowTraining
from vestige.core.errors import InputError
from vestige.core.ids import id_texts
from vestige.core.messages import few
from vestige.core.records import Records, as_given
from vestige.evaluation.preflight.row_hashes import row_hashes


def records_to_train_on(training: ShadowTraining, audited: Records) -> Records:
    """Return the records that models are trained on: the audited ones, or the source models' own.

    Raises:
        InputError: A record of the source models, or of a defence's third pool, is audited, or its class is none of the
            audited records'.
    """
    refuse_audited_reference(training.recipe, audited)
    if training.records is None:
        return audited
    own: Records = training.records
    _refuse_audited("source", own, audited)
    if (own.subjects is None) != (audited.subjects is None):
        raise InputError(
            "Expected subjects of the source models' records and of the audited ones, or of neither, found them for "
            "one; a threshold set on records does not fit people's mean scores."
        )
    if training.fraction.denominator > own.n_records:
        raise InputError(
            f"Expected at least {training.fraction.denominator} records for source models trained on "
            f"{training.fraction} of them, found {own.n_records}; give more."
        )
    return _in_classes_of(audited, own)


def refuse_audited_reference(recipe: Any, audited: Records) -> None:
    """Refuse a recipe whose third pools, as the reference of adversarial regularisation, have records to train on.

    Of a stranger's recipe it is its `reference`.

    Raises:
        InputError: Some are.
    """
    pools = getattr(recipe, "third_pools", {"reference": getattr(recipe, "reference", None)})
    for name, pool in pools.items():
        if isinstance(pool, Records):
            _refuse_audited(name, pool, audited)


def _refuse_audited(name: str, own: Records, audited: Records) -> None:
    if own.ids is not None and audited.ids is not None:
        refuse_shared(name, own, audited)
    else:
        _refuse_equal(name, own, audited)


def refuse_shared(name: str, others: Records, audited: Records) -> None:
    """Refuse audited records, or people, among the adversary's own: models trained on them would be IN models.

    Raises:
        InputError: Some are on both sides, or one side has no ids.
    """
    if others.ids is None or audited.ids is None:
        raise InputError(
            f"Expected ids of the {name} records and of the audited ones, found none; give both, by which they are "
            "known to be others."
        )
    for what, one, other in (("records", others.ids, audited.ids), ("subjects", others.subjects, audited.subjects)):
        if one is None or other is None:
            continue
        shared = np.intersect1d(id_texts(one), id_texts(other))
        if shared.size:
            raise InputError(
                f"Expected {name} records that are not audited, found {shared.size:,} {what} that are, such as "
                f"{few(shared[:3].tolist())}; leave them out."
            )


def audited_among(own: Records, audited: Records) -> Bool[np.ndarray, " own"]:
    """Return which records are audited ones: by id, or by their inputs where one side has no ids."""
    if own.ids is not None and audited.ids is not None:
        return np.isin(id_texts(own.ids), id_texts(audited.ids))
    return np.isin(row_hashes(own.inputs), row_hashes(audited.inputs))


def _refuse_equal(name: str, own: Records, audited: Records) -> None:
    equal = audited_among(own, audited)
    if equal.any():
        raise InputError(
            f"Expected {name} records that are not audited, found {int(equal.sum()):,} with the inputs of an audited "
            f"one, the first in row {int(equal.argmax()) + 1:,}; leave them out, or give ids of both if they are "
            "others."
        )


def _in_classes_of(audited: Records, own: Records) -> Records:
    """Own records with the audited ones' classes and codes."""
    if own.classes == audited.classes and own.n_classes == audited.n_classes:
        return own
    if own.classes is None and audited.classes is None and own.n_classes < audited.n_classes:
        return replace(own, classes=audited.n_classes)
    if own.classes is not None and audited.classes is not None and set(own.classes) <= set(audited.classes):
        codes = np.array([audited.classes.index(name) for name in own.classes])
        return replace(own, labels=codes[own.labels], classes=as_given(audited.classes))
    theirs, ours = (few(r.classes, 5) if r.classes else f"{r.n_classes} without names" for r in (own, audited))
    raise InputError(
        f"Expected source records of the audited records' classes ({ours}), found {theirs}; name all classes of both."
    )
