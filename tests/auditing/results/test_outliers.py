"""Precision on outliers of a finished audit: joined by id, and larger where outliers leak and others do not."""

from typing import Any

import numpy as np
import pytest
import torch

from vestige import Predictions, Querying, Records, audit
from vestige.auditing.results.outliers import precision_of_outliers
from vestige.core.errors import InputError

N = 1000
IDS = np.array([f"r{number}" for number in range(N)])


def leaking_outliers() -> tuple[Any, np.ndarray, np.ndarray]:
    """A tenth of the records points elsewhere, and the model gives away these alone."""
    rng = np.random.default_rng(0)
    apart, member = np.arange(N) % 10 == 0, np.arange(N) < N // 2
    features = np.tile([10.0, 0, 0, 0, 0, 0, 0, 0], (N, 1)) + rng.normal(size=(N, 8))
    features[apart] = rng.normal(size=(apart.sum(), 8))
    p = np.where(apart, np.where(member, 0.9, 0.2), 0.5) + rng.uniform(-0.1, 0.1, N)
    table = Predictions(np.column_stack([p, 1 - p]), np.zeros(N, dtype=int), member, ids=IDS)
    return audit(table, attacks=["confidence"]), features, apart


def test_what_leaks_of_outliers_is_seen_among_them_whatever_the_order():
    result, features, _ = leaking_outliers()
    found = precision_of_outliers(result, "confidence", 0.5, features=features, ids=IDS, fraction=0.05)
    assert found.outliers.value > 0.95
    assert found.everyone.value < 0.65
    assert found.interval.lower > 0.2
    order = np.random.default_rng(1).permutation(N)
    assert (
        precision_of_outliers(result, "confidence", 0.5, features=features[order], ids=IDS[order], fraction=0.05)
        == found
    )


def test_what_does_not_join_is_refused():
    result, features, _ = leaking_outliers()
    with pytest.raises(InputError, match="Expected features of every audited record, found none of 1 of 1,000"):
        precision_of_outliers(result, "confidence", 0.5, features=features[1:], ids=IDS[1:])
    with pytest.raises(InputError, match="Expected an attack that was played, found loss"):
        precision_of_outliers(result, "loss", 0.5, features=features, ids=IDS)
    with pytest.raises(InputError, match="Expected each id once, found 1 again"):
        precision_of_outliers(result, "confidence", 0.5, features=features, ids=np.append(IDS[1:], IDS[-1:]))
    with pytest.raises(InputError, match="Expected an id per row"):
        precision_of_outliers(result, "confidence", 0.5, features=features[1:], ids=IDS)


def test_a_module_whose_parameters_are_known_brings_its_own_features():
    rng = np.random.default_rng(0)
    sides = [Records(rng.normal(size=(60, 4)).astype(np.float32), rng.integers(0, 3, 60)) for _ in "io"]
    module = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 3))
    result = audit(module, *sides, querying=Querying(access="gradients"), attacks=["loss"])
    with torch.no_grad():
        x = torch.from_numpy(np.concatenate([side.inputs for side in sides]))
        features = module[:-1](x).numpy()
    how: dict[str, Any] = {"fraction": 0.1, "n_neighbours": 3}
    given = precision_of_outliers(result, "loss", -1.1, features=features, ids=np.arange(120), **how)
    assert precision_of_outliers(result, "loss", -1.1, **how) == given
    with pytest.raises(InputError, match="or a torch module with access to gradients"):
        precision_of_outliers(audit(module, *sides, attacks=["loss"]), "loss", -1.1)
