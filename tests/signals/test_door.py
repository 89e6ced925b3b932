"""The door of the room: everything named is there, and nothing heavy comes with it."""

import subprocess
import sys

import vestige.signals


def test_everything_named_is_there():
    assert vestige.signals.__all__ == sorted(vestige.signals.__all__)
    assert all(getattr(vestige.signals, name) is not None for name in vestige.signals.__all__)


def test_nothing_heavy_comes_with_it():
    program = (
        "import sys, vestige.signals, vestige.data.signals.store; "
        "print({'torch', 'zarr', 'xarray', 'pandas', 'pyarrow', 'scipy', 'sklearn'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
