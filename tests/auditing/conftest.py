"""What makes the many small audits here cheap without touching a number in their tables."""

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(scope="session", autouse=True)
def _modest():
    """One thread, which for small tables is the quickest; few points a curve: drawing is the report's to test."""
    with threadpool_limits(1), pytest.MonkeyPatch.context() as patch:
        patch.setattr("vestige.auditing.audit._CURVE_POINTS", 12, raising=False)
        yield
