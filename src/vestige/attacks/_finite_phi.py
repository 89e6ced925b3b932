"""What phi of a target and of its shadow models must be, for every attack that fits something to them."""

import numpy as np

from vestige.core.errors import InputError


def check_phi(phi: np.ndarray, shadow_phi: np.ndarray) -> None:
    """Refuse phi of the target that is not finite, and infinite phi of a shadow model, which is NaN if it is missing.

    Raises:
        InputError: There is some.
    """
    if not np.isfinite(phi).all() or np.isinf(shadow_phi).any():
        raise InputError(
            "Expected finite phi of the target and of every shadow model, or NaN where one of those did not answer, "
            "found NaN of the target or infinity; take phi from logits, or bound the probabilities away from 0 and 1."
        )
