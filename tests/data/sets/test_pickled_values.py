import io
import os
import pickle
import pickletools
from functools import partial

import numpy as np
import pytest
from tests.data.refusals import refused

from vestige.core.errors import InputError
from vestige.data.sets.pickled_values import read_pickled_values

VALUES = {
    "data": np.arange(12, dtype=np.uint8).reshape(3, 4),
    "weights": np.array([[1.5, -2.0], [0.0, 1e300]], dtype=">f8"),
    "labels": [6, 9, 9, 300, 70_000, 2**40, -1],
    b"batch_label": b"training batch 1 of 5",
    "filenames": ["a_s_000001.png", "\xe9", "x" * 300],
    "flags": (True, False, None, 1.25),
    "nested": {"empty": [(), [], {}], "pair": (1, 2), "long": tuple(range(9))},
}


def read(content):
    return read_pickled_values(content, "batch")


def same(a, b):
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_what_python_3_writes_comes_back(protocol):
    assert same(read(pickle.dumps(VALUES, protocol)), VALUES)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_of_every_protocol(protocol):
    plain = {k: v for k, v in VALUES.items() if not isinstance(v, np.ndarray)}
    assert same(read(pickle.dumps(plain, protocol)), plain)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_an_array_referred_to_twice_and_one_in_fortran_order(protocol):
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    first, second = read(pickle.dumps([array, array], protocol))
    assert same(first, array)
    assert same(second, array)


def test_what_older_numpy_and_python_2_wrote():
    content = (  # as cPickle of Python 2 wrote CIFAR's batches, names of numpy.core included
        b"\x80\x02}q\x01(U\x06labelsq\x02]q\x03(K\x06K\tM\x00\x01eU\x04dataq\x04cnumpy.core.multiarray\n_reconstruct\n"
        b"q\x05cnumpy\nndarray\nq\x06K\x00\x85U\x01b\x87Rq\x07(K\x01K\x02K\x02\x86cnumpy\ndtype\nq\x08U\x02u1K\x00K\x01"
        b"\x87Rq\t(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x04\x00\x7f\x80\xfftbu."
    )
    pickletools.dis(content, out=io.StringIO())  # Python itself holds it for a whole pickle
    assert same(read(content), {"labels": [6, 9, 256], "data": np.array([[0, 127], [128, 255]], np.uint8)})


class Evil:
    def __reduce__(self):
        return os.system, ("touch evil",)


class Plain:
    pass


class WithState:
    def __init__(self):
        self.x = 1


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_what_would_run_code_is_named_and_does_not_run(tmp_path, monkeypatch, protocol):
    monkeypatch.chdir(tmp_path)
    refused(lambda: read(pickle.dumps({"x": Evil()}, protocol)), "batch: Expected", "posix.system", "could run code")
    assert list(tmp_path.iterdir()) == []
    refused(lambda: read(pickle.dumps(eval, protocol)), "eval")
    refused(lambda: read(pickle.dumps(WithState(), protocol)), "could run code")
    refused(lambda: read(pickle.dumps({1, 2}, protocol)), "could run code")
    refused(lambda: read(pickle.dumps(1j, protocol)), "complex")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"cnumpy\nload\n(U\x01xtR.", "numpy.load"),
        (b"cnumpy.core.multiarray\nfromfile\n.", "numpy.core.multiarray.fromfile"),
        (b"cnumpy\nndarray\n(K\x02tR.", "a call of numpy.ndarray"),
        (b"K\x01(K\x02tR.", "a call of a value"),
        (b"(ios\nsystem\n.", "the instruction INST"),
        (b"(cos\nsystem\nU\x01xo.", "os.system"),
        (b"Pid\n.", "the instruction PERSID"),
        (b"\x82\x01.", "the instruction EXT1"),
        (b"]}b.", "a state"),
        (b"cnumpy\ndtype\n(U\x01OtR.", "an array of object"),
        (b"cnumpy\ndtype\n(U\x02S3tR.", "an array of |S3"),
    ],
)
def test_every_way_to_call_something_is_refused(content, found):
    refused(lambda: read(content), found)


def test_arrays_of_objects_are_refused():
    refused(lambda: read(pickle.dumps(np.array([1, "a", None], dtype=object), 2)), "an array of object")


def test_every_truncation_is_refused():
    content = pickle.dumps(VALUES, 2)
    for n in range(0, len(content), 3):
        refused(partial(read, content[:n]), "batch: Expected")


@pytest.mark.parametrize(
    "content", [b"", b"hello", b".", b"K\x01K\x02.", b"K\x01a.", b"]K\x01K\x02s.", b"t.", b"h\x05.", b"}]K\x01s."]
)
def test_nonsense_is_refused(content):
    refused(lambda: read(content), "batch: Expected a whole pickle", "download it again")


def test_a_damaged_pickle_gives_values_or_a_refusal_never_another_error():
    rng = np.random.default_rng(0)
    content = pickle.dumps({k: v for k, v in VALUES.items() if k != "filenames"}, 2)
    n_refused = 0
    for at in rng.integers(0, len(content), 400):
        damaged = bytearray(content)
        damaged[at] = rng.integers(256)
        try:
            read(bytes(damaged))
        except InputError:
            n_refused += 1
    assert n_refused > 50
