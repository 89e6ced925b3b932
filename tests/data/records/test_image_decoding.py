import importlib.util

from tests.data.refusals import refused

from vestige.core.progress import silent
from vestige.data.records.images import stack_images


def test_without_pillow_the_extra_is_named(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "PIL" else find(name))

    def stack():
        stack_images([[b""]], 1, load=lambda item, where: item, where=str, n_threads=1, progress=silent)

    refused(stack, "Expected the package pillow", "pip install 'pillow>=")
