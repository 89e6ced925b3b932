"""One attack with one setting after another: each row is that of an audit of its own."""

import numpy as np
import pandas as pd
import pytest

from vestige import Querying, Records, audit
from vestige.auditing.label_only import NoisyCopies
from vestige.auditing.sweep import sweep
from vestige.core.errors import InputError


def sides():
    rng = np.random.default_rng(0)
    return [Records(rng.normal(size=(30, 3)), rng.integers(2, size=30)) for _ in range(2)]


def model(inputs):
    return np.column_stack([inputs[:, 0] < 0, inputs[:, 0] >= 0]).astype(float)


def test_every_row_is_that_of_an_audit_with_the_probe_alone():
    probes = [NoisyCopies(5), NoisyCopies(20)]
    members, nonmembers = sides()
    found = sweep(model, members, nonmembers, probes)
    assert found.columns[0] == "probe"
    for probe, (_, rows) in zip(probes, found.groupby("probe", sort=False), strict=True):
        result = audit(model, members, nonmembers, attacks=["noise_robustness"], querying=Querying(label_only=(probe,)))
        expected = result.results.query("attack == 'noise_robustness' and group == 'all'").reset_index(drop=True)
        pd.testing.assert_frame_equal(rows.drop(columns="probe").reset_index(drop=True), expected)


def test_nothing_to_go_through_is_refused():
    members, nonmembers = sides()
    with pytest.raises(InputError, match="found none"):
        sweep(model, members, nonmembers, [])
