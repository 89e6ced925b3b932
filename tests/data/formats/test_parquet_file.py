import datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from tests.data.refusals import refused

from vestige.core.errors import InputError
from vestige.core.outputs import Probabilities
from vestige.data import Columns, read_records, read_table

BASE = {"label": ["a", "b"], "member": [1, 0], "prob_a": [0.75, 0.5], "prob_b": [0.25, 0.5]}


@pytest.fixture
def read(tmp_path):
    def reading(columns=None, **changes):
        parquet.write_table(pa.table(BASE | changes), tmp_path / "scores.parquet")
        return read_table(tmp_path / "scores.parquet", columns)

    return reading


def test_types_of_the_file_are_kept(read):
    single = read(prob_a=pa.array([0.75, 0.5], pa.float32()), prob_b=pa.array([0.25, 0.5], pa.float32()))
    assert single.output(Probabilities).table.dtype == np.float32
    assert read(prob_a=pa.array([0.75, 0.5], pa.float32())).output(Probabilities).table.dtype == np.float64
    assert read(prob_a=[1, 0], prob_b=[0, 1]).output(Probabilities).table.dtype == np.float64
    found = read(prob_a=[Decimal("0.75"), Decimal("0.50")])
    np.testing.assert_array_equal(next(found.output(Probabilities).table.blocks(2))[:, 0], [0.75, 0.5])


def test_categories_are_text(read):
    found = read(label=pa.array(["a", "b"]).dictionary_encode(), subject=pa.array(["x", "y"]).dictionary_encode())
    assert found.labels.tolist() == [0, 1]
    assert found.subjects.tolist() == ["x", "y"]


def test_names_with_dots(read):
    dotted = read(Columns(id="a.b"), **{"a.b": [5, 6], "a": [7, 8]})
    assert dotted.ids.tolist() == [5, 6]
    classes = read(
        label=["x.y", "x"], prob_a=[1.0, 1], prob_b=[1.0, 1], **{"prob_x.y": [0.1, 0.2], "prob_x": [0.3, 0.4]}
    )
    assert classes.classes == ("a", "b", "x", "x.y")
    np.testing.assert_array_equal(next(classes.output(Probabilities).table.blocks(2))[:, 3], [0.1, 0.2])


def test_dates_and_times_of_day_as_order(read):
    found = read(
        Columns(order=("day", "hour")),
        day=[datetime.date(2024, 1, 31), datetime.date(2024, 2, 1)],
        hour=[datetime.time(10), datetime.time(9)],
    )
    assert found.order["day"].dtype.kind == "M"
    assert found.order["hour"].tolist()[1].startswith("09:00")


def test_columns_of_lists_are_refused(read):
    refused(lambda: read(id=[[1], [2]]), "scores.parquet: ", "column id", "list")
    refused(lambda: read(prob_a=[[0.5], [0.5]]), "scores.parquet: ", "column prob_a", "[0.5] in data row 1")


@pytest.mark.parametrize("cut", [slice(None, -3), slice(None, 100), slice(None, -200)])
def test_a_truncated_file(read, tmp_path, cut):
    read()
    path = tmp_path / "scores.parquet"
    path.write_bytes(path.read_bytes()[cut])
    refused(lambda: read_table(path), "scores.parquet: Expected a whole Parquet file", "truncated", "save it again")


def test_a_damaged_page(read, tmp_path):
    read(prob_a=[0.123, 0.456])
    path = tmp_path / "scores.parquet"
    data = bytearray(path.read_bytes())
    data[4:200] = b"\xff" * 196
    path.write_bytes(data)
    refused(lambda: read_table(path), "scores.parquet: Expected a whole Parquet file", "damaged")


def damaged_in_a_page(path):
    """One bit of a number, where only a checksum tells."""
    content = bytearray(path.read_bytes())
    place = content.find(np.float64(0.71875).tobytes())
    assert place > 0
    content[place + 6] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("door", ["predictions", "records"])
def test_a_page_that_misses_its_checksum_is_refused(tmp_path, door):
    path = tmp_path / "scores.parquet"
    columns = BASE | {"id": ["x", "y"], "prob_a": [0.71875, 0.5], "prob_b": [0.28125, 0.5]}
    plain = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    parquet.write_table(pa.table(columns), path, write_page_checksum=True, **plain)
    read_it = read_table if door == "predictions" else read_records
    read_it(path)
    damaged_in_a_page(path)
    with pytest.raises(InputError, match=r"scores\.parquet: Expected a whole Parquet file, found a truncated or"):
        read_it(path)


def test_text_that_numpy_would_cut_is_refused(read):
    refused(lambda: read(label=["a\0", "a"]), "in column label", "null character in data row 1")
