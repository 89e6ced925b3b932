import numpy as np
import pytest
from tests.data.refusals import refused

from vestige.core.outputs import Logits, Probabilities
from vestige.data import read_npy, read_predictions

PROBS = np.array([[0.7, 0.3], [0.1, 0.9], [0.2, 0.8]])


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "out.npy", PROBS)
    np.save(tmp_path / "labels.npy", [0, 1, 1])
    np.save(tmp_path / "member.npy", [True, False, True])
    np.save(tmp_path / "ids.npy", np.array(["a", "b", "c"]))
    np.save(tmp_path / "people.npy", [4, 4, 5])
    return tmp_path


def test_logits_or_probabilities(folder):
    files = (folder / "out.npy", folder / "labels.npy", str(folder / "member.npy"))
    assert [type(o) for o in read_npy(*files).outputs] == [Logits]
    found = read_npy(*files, probabilities=True, ids=folder / "ids.npy", subjects=folder / "people.npy")
    assert found.output(Probabilities).table.name == "out.npy"
    np.testing.assert_array_equal(np.concatenate(list(found.output(Probabilities).table.blocks(2))), PROBS)
    assert found.ids.tolist() == ["a", "b", "c"]
    assert found.subjects.tolist() == [4, 4, 5]
    assert found.member.tolist() == [True, False, True]


def test_labels_from_one(folder):
    np.save(folder / "labels.npy", [1, 2, 2])
    found = read_npy(folder / "out.npy", folder / "labels.npy", folder / "member.npy", label_base=1)
    assert found.labels.tolist() == [0, 1, 1]
    refused(
        lambda: read_npy(folder / "out.npy", folder / "labels.npy", folder / "member.npy"), "out.npy: ", "0..1, found 2"
    )


def test_bad_files(folder):
    def read(outputs="out.npy", labels="labels.npy", member="member.npy"):
        return read_npy(folder / outputs, folder / labels, folder / member)

    refused(lambda: read(labels="none.npy"), "none.npy: Expected a file, found none")
    refused(lambda: read(outputs="none.npy"), "none.npy: Expected a file, found none")
    np.savez(folder / "a.npz", labels=[1])
    refused(lambda: read(labels="a.npz"), "a.npz: Expected an npy file, found an npz file")
    np.save(folder / "objects.npy", np.array([1, None, "x"], dtype=object))
    refused(lambda: read(labels="objects.npy"), "objects.npy: ", "object array", "never loaded")
    np.save(folder / "short.npy", [0, 1])
    refused(lambda: read(labels="short.npy"), "out.npy: ", "found 2 for 3 rows")
    np.save(folder / "flat.npy", np.ones(3))
    refused(lambda: read(outputs="flat.npy"), "flat.npy: ", "shape (3,)")
    data = (folder / "labels.npy").read_bytes()
    (folder / "cut.npy").write_bytes(data[:-4])
    refused(lambda: read(labels="cut.npy"), "cut.npy: ", "truncated")
    refused(lambda: read_predictions(folder / "out.npy"), "out.npy: ", "--labels", "--member")
