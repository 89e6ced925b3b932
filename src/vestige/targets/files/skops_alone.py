"""skops, imported without torch: it lists all of scikit-learn, whose adapter of torch takes 1.4 s and is not needed."""

import sys
from importlib.abc import MetaPathFinder
from typing import Any


class _NoTorch(MetaPathFinder):
    """Says that torch is not there, as where it is not installed."""

    def find_spec(self, fullname: str, path: Any, target: object = None) -> None:
        if fullname == "torch":
            raise ModuleNotFoundError("torch is left out here", name=fullname)


_finder = _NoTorch()
sys.meta_path.insert(0, _finder)
try:
    import skops.io  # noqa: F401
finally:
    sys.meta_path.remove(_finder)
