"""What makes the many small audits here cheap without touching a number in their tables."""

import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest
from markupsafe import Markup
from sklearn.ensemble import RandomForestClassifier as _Forest
from threadpoolctl import threadpool_limits

from vestige.report import page

_FIGURE = page._figure


@pytest.fixture(scope="session", autouse=True)
def _modest():
    """One thread, which for small tables is the quickest; few points a curve, no picture: drawing is the report's."""
    with threadpool_limits(1), pytest.MonkeyPatch.context() as patch:
        patch.setattr("vestige.auditing.audit._CURVE_POINTS", 12, raising=False)
        patch.setattr(page, "_figure", lambda *_: Markup("<svg></svg>"))
        yield


@pytest.fixture
def pictures(monkeypatch):
    """Pages have their pictures here, as everywhere outside these tests."""
    monkeypatch.setattr(page, "_figure", _FIGURE)


@pytest.fixture
def few_trees(monkeypatch):
    """Forests of attacks have 20 trees, not 200: for tests of who knows what, and not of how well a forest tells."""
    monkeypatch.setattr("sklearn.ensemble.RandomForestClassifier", lambda _, **options: _Forest(20, **options))


@pytest.fixture(scope="session")
def nursery() -> Any:
    """Makes processes that are forked from one that has imported everything, because importing is what costs."""
    with pytest.MonkeyPatch.context() as patch:
        root = Path(__file__).resolve().parents[2]
        patch.setenv("PYTHONPATH", f"{root}{os.pathsep}{root / 'src'}")  # of this checkout, whichever is installed
        context = multiprocessing.get_context("forkserver")
        ours = ["tests.auditing.small_models", "vestige.training.stacked", "vestige.targets.objects.torch_module"]
        context.set_forkserver_preload([*ours, "torch._dynamo", "zarr", "skops.io"])  # the first optimiser imports it
        yield context
