"""What phi of a target and of its shadow models must be, for every attack that reads it."""

import numpy as np

from vestige.core.errors import InputError


def check_phi(phi: np.ndarray, shadow_phi: np.ndarray) -> None:
    """Refuse phi of the target that is not finite, and infinite phi of a shadow model, which is NaN if it is missing.

    Raises:
        InputError: There is some.
    """
    if np.isinf(shadow_phi).any() or not np.isfinite(phi).all():
        raise _not_finite("or NaN where one of those did not answer, found NaN of the target or infinity")


def refuse_infinite(phi: np.ndarray) -> None:
    """Refuse phi that are not finite, for attacks that cannot do without any model's answer.

    Raises:
        InputError: Some are not.
    """
    if not np.isfinite(phi).all():
        raise _not_finite("found NaN or infinity")


def _not_finite(found: str) -> InputError:
    return InputError(
        f"Expected finite phi of the target and of every shadow model, {found}; take phi from logits, or bound the "
        "probabilities away from 0 and 1."
    )
