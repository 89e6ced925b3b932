"""A cure that installs an extra names its packages as `pyproject.toml` does, and never a package called vestige."""

import tomllib
from pathlib import Path

import pytest

from vestige.core.extras import installing

ROOT = Path(__file__).resolve().parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


@pytest.mark.parametrize("extra", ["torch", "data", "onnx", "boosting", "http", "plot", "ray", "whitebox"])
def test_it_names_the_packages_of_the_extra(extra):
    of_another = EXTRAS["torch"] if "vestige[torch]" in EXTRAS[extra] else []
    packages = sorted({*EXTRAS[extra], *of_another} - {"vestige[torch]"})
    assert installing(extra) == "pip install " + " ".join(f"'{one}'" for one in packages)


def test_nothing_that_is_printed_sends_a_stranger_to_a_package_of_our_name():
    for module in (ROOT / "src").rglob("*.py"):
        assert "pip install 'vestige" not in module.read_text(), module
