"""Drawn curves are the report's to test: audits here draw few points of them, which halves their time."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def _few_points_a_curve():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vestige.auditing.audit._CURVE_POINTS", 12, raising=False)
        yield
