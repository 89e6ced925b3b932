"""Which code is the user's, and that it arrives where its file is not."""

import json
import subprocess
import sys

import cloudpickle
import numpy as np
import pytest

from vestige.core.errors import InputError
from vestige.training.executors.shipping import by_value, shipped, users_modules


def test_what_is_installed_is_not_the_users(clinic):
    names = {module.__name__ for module in users_modules()}
    assert {"clinic", "clinic_maths"} <= names
    assert not names & {"json", "numpy", "pytest", "__main__", "vestige", "vestige.core.jobs", "encodings"}
    assert all(name.partition(".")[0] in ("clinic", "clinic_maths", "tests", "conftest") for name in names)


def test_functions_and_their_modules_arrive_without_a_file(clinic, tmp_path):
    path = tmp_path / "parcel"
    path.write_bytes(shipped(cloudpickle, "a recipe", (clinic.fit, clinic.Ask(3), {"x": np.eye(2), "y": np.ones(2)})))
    script = """
import sys, cloudpickle
fit, ask, shared = cloudpickle.loads(open(sys.argv[1], "rb").read())
fitted = fit(shared, ask)
print(fitted.weights.tolist())
assert "clinic" not in sys.modules and not fitted.found_here
"""
    done = subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert json.loads(done.stdout) == clinic.fit({"x": np.eye(2), "y": np.ones(2)}, clinic.Ask(3)).weights.tolist()


def test_nothing_stays_registered_and_what_was_stays(clinic):
    before = set(cloudpickle.list_registry_pickle_by_value())
    cloudpickle.register_pickle_by_value(clinic)
    with by_value(cloudpickle):
        assert {"clinic", "clinic_maths"} <= set(cloudpickle.list_registry_pickle_by_value())
    assert set(cloudpickle.list_registry_pickle_by_value()) == before | {"clinic"}
    cloudpickle.unregister_pickle_by_value(clinic)


def test_large_arrays_go_beside_the_bytes():
    buffers: list = []
    data = shipped(cloudpickle, "records", {"x": np.zeros(10**6)}, buffers)
    assert len(data) < 1000
    assert [buffer.raw().nbytes for buffer in buffers] == [8 * 10**6]


def test_what_cannot_be_sent_is_told():
    with pytest.raises(
        InputError, match=r"Expected a recipe that can be sent to another process, found TypeError: .*; make"
    ):
        shipped(cloudpickle, "a recipe", (n for n in "abc"))
