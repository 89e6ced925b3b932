"""One thread for numerical libraries, and Hypothesis without a deadline: how long a test takes says nothing here."""

import os

# Before any of them is loaded: threads of tests that run at once would only wait for each other, and for long.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings

settings.register_profile("vestige", deadline=None)
settings.load_profile("vestige")
