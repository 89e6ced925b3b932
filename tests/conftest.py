"""One thread for numerical libraries, and Hypothesis without a deadline: how long a test takes says nothing here."""

import gc
import os
import sys

# Before any of them is loaded: threads of tests that run at once would only wait for each other, and for long.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings
from tests import checked_calls

settings.register_profile("vestige", deadline=None)
settings.load_profile("vestige")


def pytest_addoption(parser):
    """Types are checked at some calls of each test, or at every one."""
    parser.addoption("--check-every-call", action="store_true", help="check the types of every call, at twice the time")


def pytest_runtest_logstart():
    """The first call of a function in each test is checked."""
    checked_calls.begin_test()


def pytest_configure(config):
    """Only tests marked `cuda` see a graphics card: the numbers of the others are those of a processor."""
    if config.option.markexpr != "cuda":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    if not config.option.check_every_call:
        checked_calls.check_some_calls()


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """What is imported and collected stays to the end: the garbage collector never looks through it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def _modules_of_users_are_forgotten():
    """What a test imports as a user's module is gone after it: another test may have one of that name."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        module = sys.modules[name]
        found = vars(module) if hasattr(module, "__dict__") else {}
        places = [found.get("__file__"), *(found.get("__path__") or ())]
        if any("pytest-of" in str(place) for place in places):
            del sys.modules[name]
