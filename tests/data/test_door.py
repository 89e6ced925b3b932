import subprocess
import sys

import vestige.data
from vestige.data import __all__ as public


def test_the_door_names_what_it_opens():
    assert sorted(public) == list(public)
    assert all(hasattr(vestige.data, name) for name in public)


def test_opening_the_door_imports_no_reader():
    code = "import sys, vestige.data; print([m for m in ('pyarrow', 'pandas', 'zarr') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
