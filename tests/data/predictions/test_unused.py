import numpy as np
import pandas as pd
import pytest

from vestige.data import Columns, read_table, read_two_tables

N = 200


def table(**more) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    p = rng.uniform(0.1, 0.9, N)
    return pd.DataFrame(
        {"label": rng.choice(["a", "b"], N), "member": np.arange(N) % 2, "prob_a": p, "prob_b": 1 - p, **more}
    )


@pytest.mark.parametrize("write", ["to_csv", "to_parquet"])
def test_columns_that_are_not_used_are_named_and_people_among_them_warned_of(tmp_path, write):
    patient = [f"p{i // 4:03}" for i in range(N)]
    path = tmp_path / "t"
    getattr(table(patient=patient, visit=np.arange(N) % 4), write)(path, index=False)
    named, warned = read_table(path).notes
    assert named == "Columns not used, nor checked: patient, visit."
    assert warned.startswith("Warning: values of patient repeat")
    assert "--subject" in warned
    (only,) = read_table(path, Columns(subject="patient")).notes
    assert only == "Columns not used, nor checked: visit."


def test_nothing_is_said_where_every_column_is_used(tmp_path):
    table().to_csv(tmp_path / "t.csv", index=False)
    assert read_table(tmp_path / "t.csv").notes == ()


def test_a_column_of_numbers_or_of_a_few_words_names_no_people(tmp_path):
    other = {"x": np.random.default_rng(1).normal(size=N), "sex": np.where(np.arange(N) % 3, "f", "m")}
    table(**other).to_csv(tmp_path / "t.csv", index=False)
    assert read_table(tmp_path / "t.csv").notes == ("Columns not used, nor checked: x, sex.",)


def test_missing_entries_and_broken_words_in_an_unused_column_are_no_ones_business(tmp_path):
    table(note=[None, ""] * (N // 2)).to_csv(tmp_path / "t.csv", index=False)
    assert read_table(tmp_path / "t.csv").notes == ("Columns not used, nor checked: note.",)


def test_people_that_repeat_over_two_files_are_seen(tmp_path):
    whole = table(patient=[f"p{i // 2:03}" for i in range(N)])
    for side, name in ((1, "in.csv"), (0, "out.csv")):
        whole[whole["member"] == side].drop(columns="member").to_csv(tmp_path / name, index=False)
    assert "patient" in read_two_tables(tmp_path / "in.csv", tmp_path / "out.csv").notes[1]
