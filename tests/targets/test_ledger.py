import contextlib
import sqlite3
import stat
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vestige.core.errors import ArtefactError, BudgetError, OutputError, RunFolderError
from vestige.targets.ledger import Ledger, Spent

NONE = np.empty(0, dtype=np.int64)


def test_queries_are_counted_per_record_and_per_attack():
    ledger = Ledger(None, 5)
    ledger.note("first", np.array([0, 0, 3]))
    ledger.note("second", np.array([3, 4]), kept=np.array([1, 1]), failed=2)
    assert ledger.per_record().tolist() == [2, 0, 0, 2, 1]
    assert ledger.per_record("second").tolist() == [0, 0, 0, 1, 1]
    assert ledger.per_attack() == {"first": 3, "second": 4}
    assert ledger.spent == Spent(n_sent=5, n_kept=2, n_failed=2, most_per_record=2)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 19), max_size=40), max_size=5), st.integers(0, 18))
def test_counts_are_those_of_a_plain_count_and_survive_the_file(tmp_path_factory, calls, first):
    file = tmp_path_factory.mktemp("ledger") / "queries.sqlite"
    calls = [*map(np.array, calls), np.arange(first, 20)]
    ledger = Ledger(file, 20)
    for records in calls:
        ledger.note("attack", records.astype(np.int64))
    expected = np.bincount(np.concatenate(calls).astype(np.int64), minlength=20)
    spent = ledger.spent
    assert ledger.per_record().tolist() == expected.tolist()
    ledger.close()
    again = Ledger(file, 20)
    assert again.per_record().tolist() == expected.tolist()
    assert again.spent == spent
    again.close()


def test_answers_are_kept_with_the_count(tmp_path):
    ledger = Ledger(tmp_path / "q.sqlite", 3, "model")
    ledger.note("attack", np.array([1]), answers=[(b"k" * 16, b"answer")], version="7")
    ledger.close()
    again = Ledger(tmp_path / "q.sqlite", 3, "model")
    assert again.answers([b"k" * 16, b"other"]) == {b"k" * 16: b"answer"}
    assert again.spent.n_sent == 1
    again.close()


def test_answers_of_several_blocks_are_found_again(tmp_path):
    ledger = Ledger(tmp_path / "q.sqlite", 1)
    pairs = [(f"{i:016}".encode(), f"answer {i:5}".encode()) for i in range(1203)]
    for block in (pairs[:3], pairs[3:1000], pairs[1000:]):
        ledger.note("attack", np.zeros(len(block), dtype=np.int64), answers=block)
    assert ledger.answers([key for key, _ in pairs] + [b"none"]) == dict(pairs)
    ledger.close()
    again = Ledger(tmp_path / "q.sqlite", 1)
    assert again.answers([key for key, _ in pairs] + [b"none"]) == dict(pairs)
    again.close()


def test_only_the_owner_can_read_the_file(tmp_path):
    ledger = Ledger(tmp_path / "q.sqlite", 3)
    ledger.note("attack", np.array([1]))
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("q.sqlite*")} == {0o600}
    ledger.close()


def test_a_budget_refuses_all_of_a_pass_or_nothing():
    ledger = Ledger(None, 10, budget=12)
    ledger.note("attack", np.arange(10))
    ledger.reserve(2)
    with pytest.raises(BudgetError, match=r"budget of 13 queries or more, found 12, of which 10 are spent; .* these 3"):
        ledger.reserve(3)


def test_another_model_s_file_is_refused(tmp_path):
    Ledger(tmp_path / "q.sqlite", 3, "model a").close()
    with pytest.raises(RunFolderError, match="same model as before, model a, found model b"):
        Ledger(tmp_path / "q.sqlite", 3, "model b")
    with pytest.raises(RunFolderError, match="same number of records as before, 3, found 4"):
        Ledger(tmp_path / "q.sqlite", 4, "model a")
    Ledger(tmp_path / "q.sqlite", 3, "model a").close()


def test_a_ledger_of_other_records_is_refused(tmp_path):
    Ledger(tmp_path / "q.sqlite", 3, inputs="those").close()
    with pytest.raises(RunFolderError, match="same records as before, those, found these"):
        Ledger(tmp_path / "q.sqlite", 3, inputs="these")


def test_another_version_of_the_model_is_refused_and_its_answers_are_not_kept():
    ledger = Ledger(None, 3)
    ledger.note("attack", np.array([0]), version="1")
    with pytest.raises(RunFolderError, match="same version as before, 1, found 2"):
        ledger.note("attack", np.array([1]), answers=[(b"k" * 16, b"a")], version="2")
    assert ledger.spent.n_sent == 1
    assert not ledger.answers([b"k" * 16])


def test_a_second_process_is_refused(tmp_path):
    ledger = Ledger(tmp_path / "q.sqlite", 3)
    with pytest.raises(RunFolderError, match=r"alone with q\.sqlite, found another process"):
        Ledger(tmp_path / "q.sqlite", 3)
    ledger.close()


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "q.sqlite").write_bytes(b"this is no database at all" * 100)
    with pytest.raises(ArtefactError, match=r"ledger of queries in q\.sqlite, found a damaged file"):
        Ledger(tmp_path / "q.sqlite", 3)


def test_a_damaged_page_is_found(tmp_path):
    file = tmp_path / "q.sqlite"
    ledger = Ledger(file, 3)
    pairs = [(f"{i:016}".encode(), bytes(200)) for i in range(500)]
    ledger.note("attack", np.zeros(500, dtype=np.int64), answers=pairs)
    ledger.close()
    content = bytearray(file.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4096] = bytes(range(256)) * 16
    file.write_bytes(content)
    with pytest.raises(ArtefactError, match="damaged"):
        Ledger(file, 3)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(OutputError, match=r"write q\.sqlite"):
        Ledger(tmp_path / "nowhere" / "q.sqlite", 3)


def test_nothing_is_written_for_nothing(tmp_path):
    ledger = Ledger(tmp_path / "q.sqlite", 3)
    ledger.note("attack", NONE)
    ledger.close()
    with sqlite3.connect(tmp_path / "q.sqlite") as db:
        assert db.execute("SELECT count(*) FROM queries").fetchone() == (0,)
    db.close()


@pytest.mark.parametrize("times", [1, 2, 300, 70_000])
def test_many_queries_about_a_record_are_counted_in_full(tmp_path, times):
    records = np.concatenate([np.arange(3), np.full(times - 1, 1)])
    ledger = Ledger(tmp_path / "q.sqlite", 3)
    ledger.note("attack", records, kept=records[:-1])
    ledger.close()
    again = Ledger(tmp_path / "q.sqlite", 3)
    assert again.per_record().tolist() == [1, times, 1]
    assert again.spent == Spent(n_sent=times + 2, n_kept=times + 1, n_failed=0, most_per_record=times)
    assert again.per_attack() == {"attack": 2 * times + 3}
    again.close()


# ------------------------------------------------------------------------------ what may have been answered


def reopened(file, **given):
    ledger = Ledger(file, 10, "m", **given)
    ledger.close()
    return ledger


def test_what_was_taken_is_spent_though_nothing_was_noted(tmp_path):
    file = tmp_path / "q.sqlite"
    ledger = Ledger(file, 10, "m", budget=12)
    ledger.take(8)
    ledger.note("attack", np.arange(5))  # three are under way
    ledger._db.close()  # as a kill does
    again = Ledger(file, 10, "m", budget=12)
    assert again.n_asked == 8
    assert again.spent == Spent(n_sent=5, n_kept=0, n_failed=0, most_per_record=1, n_unanswered=3)
    again.take(4)
    with pytest.raises(BudgetError, match=r"of which 12 are spent, 7 of them by requests that failed or were cut off"):
        again.take(1)
    assert again.n_asked == 12
    again.close()


def test_a_query_is_on_the_disk_before_it_is_sent(tmp_path):
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from vestige.targets.ledger import Ledger\n"
        "Ledger(Path(sys.argv[1]), 10, 'm').take(7)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "q.sqlite")]).returncode == -9
    assert reopened(tmp_path / "q.sqlite").n_asked == 7


def test_what_surely_was_not_sent_is_given_back(tmp_path):
    ledger = Ledger(tmp_path / "q.sqlite", 10, "m", budget=5)
    ledger.take(5)
    ledger.give_back(5)
    ledger.take(5)
    ledger.close()
    assert reopened(tmp_path / "q.sqlite").n_asked == 5


def test_threads_take_no_more_than_there_is(tmp_path):
    ledger, refused = Ledger(tmp_path / "q.sqlite", 10, "m", budget=150), []

    def take():
        for _ in range(100):
            try:
                ledger.take(1)
            except BudgetError:
                refused.append(1)

    crew = [threading.Thread(target=take) for _ in range(3)]
    for one in crew:
        one.start()
    for one in crew:
        one.join()
    assert (ledger.n_asked, len(refused)) == (150, 150)
    ledger.close()
    assert reopened(tmp_path / "q.sqlite").n_asked == 150


def test_the_count_outlives_what_is_forgotten(tmp_path):
    file = tmp_path / "q.sqlite"
    for start in range(3):
        ledger = Ledger(file, 10, f"model {start}", forget=True)
        ledger.take(10)
        ledger.note("attack", np.arange(10))
        assert ledger.spent == Spent(n_sent=10, n_kept=0, n_failed=0, most_per_record=1)
        assert ledger.n_asked == 10 * (start + 1)
        ledger.close()
    with pytest.raises(BudgetError, match="of which 30 are spent"):
        Ledger(file, 10, "another", budget=39, forget=True).reserve(10)


def test_answers_are_not_forgotten_unless_they_are_to_be(tmp_path):
    file = tmp_path / "q.sqlite"
    ledger = Ledger(file, 10, "m")
    ledger.note("attack", np.array([1]), answers=[(b"k" * 16, b"answer")])
    ledger.close()
    kept = Ledger(file, 10, "m", forget=True)
    assert kept.answers([b"k" * 16]) == {b"k" * 16: b"answer"}
    kept.close()
    with pytest.raises(RunFolderError, match="same model"):
        Ledger(file, 10, "another", forget=True)
    emptied = Ledger(file, 10, "another", forget=True, forget_answers=True)
    assert emptied.answers([b"k" * 16]) == {}
    emptied.close()


# ---------------------------------------------------------------------------------------------- damage


@pytest.fixture
def written(tmp_path):
    file = tmp_path / "q.sqlite"
    ledger = Ledger(file, 10, "m", inputs="those")
    ledger.take(10)
    for i in range(5):
        pairs = [(f"{2 * i + k:016}".encode(), b"predicted labels|<i8|" + bytes(8)) for k in range(2)]
        ledger.note("attack", np.array([2 * i, 2 * i + 1]), answers=pairs, failed=i)
    ledger.close()
    return file


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE queries SET answers = zeroblob(length(answers)) WHERE number = 3",
        "UPDATE queries SET inputs = x'" + "00" * 32 + "' WHERE number = 1",
        "UPDATE queries SET sent = x'6c00000000' WHERE number = 2",
        "UPDATE queries SET failed = 7 WHERE number = 5",
        "UPDATE queries SET kept = x'6c00000000' WHERE number = 2",
        "UPDATE queries SET attack = 'other' WHERE number = 2",
        "UPDATE queries SET attack = CAST(x'ff' AS TEXT) WHERE number = 2",
        "UPDATE queries SET checksum = checksum + 1 WHERE number = 4",
        "UPDATE about SET value = '1' WHERE name = 'asked'",
        "UPDATE about SET value = 'n' WHERE name = 'model'",
    ],
)
def test_a_row_that_is_not_as_it_was_written_is_refused_in_one_line(written, change):
    with contextlib.closing(sqlite3.connect(written)) as db, db:
        assert db.execute(change).rowcount == 1
    with pytest.raises(ArtefactError, match=r"ledger of queries in q\.sqlite, found .* not as .* written") as caught:
        Ledger(written, 10, "m", inputs="those")
    assert "\n" not in str(caught.value)


def test_flipped_labels_are_never_taken_for_answers(written):
    """Every bit of every kept answer, in the file itself."""
    content = written.read_bytes()
    at = content.index(b"predicted labels|<i8|" + bytes(8)) + len(b"predicted labels|<i8|")
    for place in range(at, at + 8):
        for bit in range(8):
            spoilt = bytearray(content)
            spoilt[place] ^= 1 << bit
            written.write_bytes(spoilt)
            with pytest.raises(ArtefactError, match="not as it was written"):
                Ledger(written, 10, "m", inputs="those")


def test_a_ledger_of_before_there_were_checksums_is_refused(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "q.sqlite")) as db, db:
        db.execute("CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
        db.execute("INSERT INTO about VALUES ('format', 'vestige-queries-1')")
    with pytest.raises(ArtefactError, match=r"of an earlier version, without checksums.*move it away"):
        Ledger(tmp_path / "q.sqlite", 3)


def test_what_a_kill_cost_before_the_first_answer_is_said(tmp_path):
    ledger = Ledger(tmp_path / "q.sqlite", 10, "m", forget=True)
    ledger.take(8)
    ledger._db.close()
    again = Ledger(tmp_path / "q.sqlite", 10, "m", forget=True)
    assert (again.n_asked, again.spent.n_unanswered) == (8, 8)
    again.close()
