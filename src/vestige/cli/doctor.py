"""`vestige doctor`: what works on this machine, and the cure for what does not."""

import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from vestige.cli.printing import print_table
from vestige.cli.settings import AsJson
from vestige.core.extras import installing

_OPTIONAL = (
    ("torch", "torch", "torch networks: as targets, and as shadow models"),
    ("safetensors", "torch", "torch networks kept in the bank"),
    ("PIL", "data", "images"),
    ("pooch", "data", "vestige data fetch"),
    ("onnxruntime", "onnx", "models in .onnx files"),
    ("xgboost", "boosting", "models of XGBoost"),
    ("lightgbm", "boosting", "models of LightGBM"),
    ("httpx", "http", "models behind a URL"),
    ("matplotlib", "plot", "plot_roc()"),
    ("ray", "ray", "training on a cluster"),
)
"""Package, extra, and what it is for."""


def doctor_command(as_json: AsJson = False) -> int:
    """Say what works on this machine, and the cure for what does not. Exit code 2 if an audit cannot be run.

    Prints no path of data and no name of a record, so it can be put into a bug report.
    """
    rows = [*_required(), *_optional(), *_machine(), *_places()]
    print_table(("what", "state", "meaning or cure"), rows, as_json=as_json)
    return 2 if any(state == "BROKEN" for _, state, _ in rows) else 0


Line = tuple[str, str, str]


def _required() -> Iterator[Line]:
    yield "vestige", version("vestige"), f"Python {platform.python_version()} on {platform.system()}"
    for package in ("numpy", "scipy", "pandas", "pyarrow", "scikit-learn", "altair"):
        try:
            yield package, version(package), ""
        except PackageNotFoundError:
            yield package, "BROKEN", f"it is missing: pip install {package}"
    yield _pages()


def _pages() -> Line:
    """Whether charts can be drawn, by drawing one."""
    from vestige.report.renderer import RENDERER, NotDrawn

    try:
        RENDERER.svg({"data": {"values": [{"a": 1}]}, "mark": "point", "encoding": {}})
    except NotDrawn as error:
        return "charts", "missing", f"pages have tables without charts: {error}"
    return "charts", "works", ""


def _optional() -> Iterator[Line]:
    for package, extra, purpose in _OPTIONAL:
        there = find_spec(package) is not None
        yield package, "there" if there else "missing", purpose + ("" if there else f": {installing(extra)}")


def _machine() -> Iterator[Line]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield "cores", str(usable), "shadow models train on all of them"
    if find_spec("torch") is not None:
        import torch

        has_gpu = torch.cuda.is_available()
        yield "GPU", torch.cuda.get_device_name() if has_gpu else "none", "" if has_gpu else "torch trains on the cores"
    interactive = sys.stdout.isatty()
    yield "terminal", "interactive" if interactive else "pipe", "" if interactive else "progress is not shown in pipes"


def _places() -> Iterator[Line]:
    from vestige.core.errors import VestigeError
    from vestige.data.sets.named import SETS, data_folder
    from vestige.training.bank import Bank, default_folder

    present = [name for name, known in SETS.items() if known.files_in(data_folder()) is not None]
    yield "named data sets", f"{len(present)} of {len(SETS)}", "vestige data list"
    if not default_folder().is_dir():
        yield "bank", "empty", "made when the first shadow model is trained"
        return
    try:
        yield "bank", f"{len(Bank().keys()):,} models", "vestige bank list"
    except VestigeError as error:
        yield "bank", "BROKEN", " ".join(str(error).split())
