"""What a store of signals is made for: the values that say so, by hand."""

import numpy as np
import pytest
from tests.data.signals.stores import layout_of

from vestige.data.signals.layout import ModelTable, SignalLayout, VariableSpec, spans


def test_a_model_table_names_its_rows():
    table = ModelTable(np.array([0, 1], dtype=np.uint8), [3, 3], [2**62, 5])
    assert [table.named(row) for row in range(len(table))] == ["model 0 at epoch 3", "model 1 at epoch 3"]
    assert {name: values.dtype for name, values in table.columns().items()} == dict.fromkeys(
        ("model", "epoch", "seed"), np.dtype(np.int64)
    )


@pytest.mark.parametrize(
    ("spec", "dims", "shape", "text"),
    [
        (VariableSpec("float64"), ("model", "record"), (), "float64 (model, record)"),
        (VariableSpec("f4", n_classes=10), ("model", "record", "class"), (10,), "float32 (model, record, class 10)"),
        (VariableSpec("int8", n_queries=2), ("model", "record", "query"), (2,), "int8 (model, record, query 2)"),
        (
            VariableSpec("float32", n_queries=2, n_classes=3),
            ("model", "record", "query", "class"),
            (2, 3),
            "float32 (model, record, query 2, class 3)",
        ),
    ],
    ids=str,
)
def test_a_variable_has_named_axes(spec, dims, shape, text):
    assert (spec.dims, spec.shape, str(spec)) == (dims, shape, text)


@pytest.mark.parametrize(
    ("spec", "n_models", "n_records", "expected"),
    [
        (VariableSpec("float32", n_classes=10), 256, 50_000, 12_500),  # 500 KB; of all models 128 MB
        (VariableSpec("float32", n_classes=10), 8, 50_000, 50_000),  # 2 MB
        (VariableSpec("float32", n_classes=100), 8, 1_000_000, 10_417),  # 4 MB
        (VariableSpec("bool"), 256, 50_000, 50_000),
        (VariableSpec("float64", n_queries=1000, n_classes=10_000), 1000, 5, 1),  # never less than a record
    ],
    ids=str,
)
def test_the_size_of_an_object(spec, n_models, n_records, expected):
    size = spec.chunk_records(n_models, n_records)
    assert size == expected
    n_bytes = size * np.dtype(spec.dtype).itemsize * int(np.prod(spec.shape))
    assert size == 1 or (n_bytes <= 4 << 20 and n_bytes * n_models <= 128 << 20)
    assert -(-n_records // size) * size - n_records < -(-n_records // size)  # padding: less than a record per object


def test_spans_cover_a_range_once():
    for start in range(12):
        for stop in range(start, 14):
            for size in range(1, 7):
                parts = list(spans(start, stop, size))
                assert [i for a, b in parts for i in range(a, b)] == list(range(start, stop))
                assert all(a // size == (b - 1) // size for a, b in parts)


def test_a_layout_is_the_same_however_wide_its_ids_came():
    ids = np.array(layout_of().ids)
    assert layout_of(ids=ids.astype("U80")).identity() == layout_of().identity()
    numbers = np.arange(37)
    assert layout_of(ids=numbers.astype(np.int16)).identity() == layout_of(ids=numbers).identity()
    assert layout_of(ids=numbers + 1).identity() != layout_of(ids=numbers).identity()


def test_the_records_are_those_of_member():
    assert SignalLayout(ModelTable([0], [0], [0]), [[True, False]], {"a": VariableSpec("int8")}).n_records == 2
