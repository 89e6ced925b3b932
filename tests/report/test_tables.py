import csv
import resource
import stat
import time

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from vestige.core.errors import OutputError
from vestige.core.result import RESULT_DTYPES
from vestige.report.tables import write_records, write_results


def test_results_come_back_from_parquet(rich, tmp_path):
    write_results(rich.results, tmp_path)
    read = pd.read_parquet(tmp_path / "results.parquet")
    pd.testing.assert_frame_equal(read, rich.results)


def test_results_come_back_from_csv(rich, tmp_path):
    write_results(rich.results, tmp_path)
    with (tmp_path / "results.csv").open(newline="") as file:
        read = pd.DataFrame(csv.DictReader(file))
    numbers = [name for name, kind in RESULT_DTYPES.items() if kind != "str"]
    read[numbers] = read[numbers].replace("", None)
    pd.testing.assert_frame_equal(read.astype(dict(RESULT_DTYPES)), rich.results, check_exact=True)


def test_a_missing_number_is_an_empty_cell(rich, tmp_path):
    write_results(rich.results, tmp_path)
    lines = (tmp_path / "results.csv").read_text().splitlines()
    assert lines[0] == ",".join(RESULT_DTYPES)
    suppressed = next(line for line in lines if ",suppressed," in line)
    assert ",subject,,,,,,,suppressed," in suppressed


def test_results_have_the_columns_and_types_of_the_schema(rich, tmp_path):
    shuffled = rich.results[list(RESULT_DTYPES)[::-1]].astype({"n_members": "float64"}).assign(extra=1)
    write_results(shuffled, tmp_path)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "results.parquet"), rich.results)


def test_records_are_for_their_owner_alone(rich, tmp_path):
    target = tmp_path / "records.parquet"
    target.write_text("readable by all")
    target.chmod(0o644)
    write_records(rich.records, tmp_path)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    pd.testing.assert_frame_equal(pd.read_parquet(target), rich.records)


def test_records_say_that_they_are_disclosive(rich, tmp_path):
    write_records(rich.records, tmp_path)
    metadata = pq.read_schema(tmp_path / "records.parquet").metadata
    assert metadata[b"vestige.disclosive"] == b"true"
    assert b"Do not release" in metadata[b"vestige.notice"]


def test_a_full_disk_leaves_no_records(rich, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"records\.parquet"):
            write_records(rich.records, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_million_records_take_little_time(tmp_path):
    n = 1_000_000
    rng = np.random.default_rng(0)
    records = pd.DataFrame({f"score_{i}": rng.normal(size=n) for i in range(10)})
    records["id"] = np.arange(n).astype(str)
    records["subject"] = (np.arange(n) // 5).astype(str)
    records["label"] = rng.integers(0, 10, n).astype(str)
    records["member"] = rng.random(n) < 0.5
    start = time.perf_counter()
    write_records(records, tmp_path)
    assert time.perf_counter() - start < 5  # 0.5 s on two cores
