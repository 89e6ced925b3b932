import pytest

from vestige.core.result import Validity
from vestige.evaluation.preflight import sizes


@pytest.mark.parametrize(("n_members", "n_nonmembers"), [(19, 500), (500, 19), (1, 1)])
def test_few_units_limit(n_members, n_nonmembers):
    check = sizes(n_members, n_nonmembers, "subject")
    assert check.validity is Validity.LIMITED
    assert f"{n_members:,} members and {n_nonmembers:,} nonmembers (subjects)" in check.message
    assert "at least 20 subjects" in check.remedy


@pytest.mark.parametrize(
    ("n_nonmembers", "resolved"),
    [
        (99, "no false-positive rate up to 10%"),
        (100, "down to 10%."),
        (999, "down to 10%."),
        (1000, "down to 1%."),
        (10_000, "down to 0.1%."),
        (100_000, "down to 0.01%."),
        (10**7, "down to 0.01%."),
    ],
)
def test_what_is_resolved(n_nonmembers, resolved):
    check = sizes(20, n_nonmembers, "record")
    assert check.validity is Validity.VALID
    assert resolved in check.message
