"""A row while it is written, against cutting the whole array by hand."""

import numpy as np
import pytest

from vestige.core.errors import InputError
from vestige.core.signal_rows import RowWriter
from vestige.core.signals import VariableSpec

N = 23
SPECS = {"logits": VariableSpec("float32", n_classes=3), "labels": VariableSpec("int8")}


SIZES = {"logits": 5, "labels": N}


@pytest.fixture
def written():
    return []


def _writer(written):
    def put(name, start, values):
        written.append((name, start, values.copy()))

    return RowWriter("model 0 at epoch 1", SPECS, SIZES, N, put)


@pytest.mark.parametrize("size", [1, 4, 5, 7, 11, 23])
def test_whatever_the_blocks_whole_chunks_are_written_in_order(written, size):
    logits = np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)
    labels = np.arange(N, dtype=np.int8)
    writer = _writer(written)
    for start in range(0, N, size):
        writer.append({"logits": logits[start : start + size]})
    for start in range(0, N, 10):
        writer.append({"labels": labels[start : start + 10]})
    writer.finish()
    assert [(name, start) for name, start, _ in written if name == "logits"] == [
        ("logits", start) for start in (0, 5, 10, 15, 20)
    ]
    for name, start, values in written:
        whole = logits if name == "logits" else labels
        np.testing.assert_array_equal(values, whole[start : start + SIZES[name]])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"phi": np.zeros(3)}, "Expected one of the variables logits, labels, found 'phi'"),
        (
            {"logits": np.zeros((3, 3))},
            "Expected logits of model 0 at epoch 1 as float32 of shape records x 3, found float64 of shape 3 x 3",
        ),
        ({"logits": np.zeros((3, 4), np.float32)}, "of shape records x 3, found float32 of shape 3 x 4"),
        ({"labels": np.int8(3)}, "as int8 of shape records, found int8 of shape a single value"),
        ({"labels": np.zeros(24, np.int8)}, "Expected labels of 23 records for model 0 at epoch 1, found at least 24"),
    ],
)
def test_what_is_no_part_of_the_row_is_refused(written, values, message):
    with pytest.raises(InputError, match=message):
        _writer(written).append(values)


def test_a_row_with_too_few_records_is_refused(written):
    writer = _writer(written)
    writer.append({"logits": np.zeros((N, 3), np.float32), "labels": np.zeros(22, np.int8)})
    with pytest.raises(InputError, match="Expected labels of 23 records for model 0 at epoch 1, found 22; give every"):
        writer.finish()
