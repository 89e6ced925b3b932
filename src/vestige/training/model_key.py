"""`ModelKey`: everything that decides a trained model, and the hash that it is stored under."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vestige.core.errors import InputError
from vestige.core.messages import brief

TRAINING_SEMANTICS = 1
"""Increased whenever training changes so that the same `ModelKey` gives another model; the package's version is not
part of a key."""


@dataclass(frozen=True, kw_only=True)
class ModelKey:
    """Everything that decides a trained model.

    Attributes:
        data: Digest of all records of the pool.
        membership: Digest of the row that says which of them it is trained on.
        recipe: The recipe's identity: text and numbers, nested as JSON can be.
        seed: Seed of the training.
        checkpoints: Epochs after which copies are kept.
        start: Key of the model that the training starts from; empty if from new weights.
        semantics: Version of how Vestige trains.

    Example:
        >>> key_of(ModelKey(data="d1", membership="m1", recipe={"epochs": 3}, seed=0))[:12]
        '7846c5af1518'
    """

    data: str
    membership: str
    recipe: Mapping[str, Any]
    seed: int
    checkpoints: tuple[int, ...] = ()
    start: str = ""
    semantics: int = TRAINING_SEMANTICS


def key_of(model_key: ModelKey) -> str:
    """Return the SHA-256 of a `ModelKey` in one fixed JSON form, in hexadecimal.

    Raises:
        InputError: The recipe's identity holds something that is neither text nor a number.
    """
    return hashlib.sha256(spelled(plain(model_key)).encode()).hexdigest()


def plain(model_key: ModelKey) -> dict[str, Any]:
    """Return a `ModelKey` as JSON values: mappings, lists, text and numbers."""
    try:
        return dict(json.loads(spelled(asdict(model_key))))
    except (TypeError, ValueError) as error:
        reason = brief(str(error), 120)
        raise InputError(
            f"Expected text and numbers in the identity of a recipe, found: {reason}; describe its parameters by text."
        ) from None


def spelled(value: Any) -> str:
    """Return the one text of a JSON value: names sorted, no blanks, ASCII; not-a-number is `NaN`."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_number)


def _number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__}")
