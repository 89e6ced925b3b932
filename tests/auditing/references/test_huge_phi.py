"""A number among the reference models' answers that no model gives, such as damage leaves, is refused as such."""

import numpy as np
import pytest

from vestige import Predictions, References, audit
from vestige.core.errors import InputError
from vestige.core.outputs import Phi

N = 24


@pytest.mark.parametrize("huge", [1e200, -1e300])
@pytest.mark.parametrize("where", ["target", "references"])
def test_a_number_whose_square_is_none(huge, where):
    rng = np.random.default_rng(0)
    phi, ours = rng.normal(size=(6, N)), rng.normal(size=N)
    member = rng.permuted(np.repeat([[0], [1]], 3, axis=0).repeat(N, axis=1), axis=0)
    (ours if where == "target" else phi[2])[3] = huge
    predictions = Predictions((Phi(ours),), np.zeros(N, dtype=int), np.arange(N) % 2, classes=["a", "b"])
    with pytest.raises(InputError, match=r"phi of the target and of the reference models of at most 1e\+100, found 1e"):
        audit(predictions, adversary=References(Phi, phi, member))
