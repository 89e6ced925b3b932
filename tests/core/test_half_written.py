"""Only what Vestige itself left half-written is removed, and only once nobody is at it."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from vestige.core.half_written import LOCK, MARK, half_written, is_half_written, remove_left_behind, settle

RANDOM = "0123456789abcdef" * 2


@pytest.fixture
def left(tmp_path) -> Path:
    """What a killed process left, for the name `run`."""
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from vestige.core.half_written import half_written\n"
        "with half_written(Path(sys.argv[1]), 'run') as folder:\n"
        "    (folder / 'records.parquet').write_text('disclosive')\n"
        "    (folder / 'more').mkdir()\n"
        "    (folder / 'more' / 'of it').write_text('disclosive')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)]).returncode == -9
    folder = next(Path(tmp_path).iterdir())
    assert is_half_written(folder, "run")
    return folder


def test_what_a_killed_process_left_is_removed(left):
    remove_left_behind(left.parent, "run")
    assert not left.exists()


def test_a_living_neighbour_s_folder_stays(tmp_path):
    with half_written(tmp_path, "run") as folder:
        remove_left_behind(tmp_path, "run")
        assert (folder / MARK).exists()
    assert os.listdir(tmp_path) == []


def test_a_living_neighbour_in_another_process_is_seen(tmp_path):
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from vestige.core.half_written import half_written\n"
        "with half_written(Path(sys.argv[1]), 'run'):\n"
        "    print('there', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as neighbour:
        assert neighbour.stdout is not None
        neighbour.stdout.readline()
        remove_left_behind(tmp_path, "run")
        assert len(os.listdir(tmp_path)) == 1
        neighbour.kill()
        neighbour.communicate()
    remove_left_behind(tmp_path, "run")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "name",
    [".clinic-2023-backup", ".clinic-1-2", f".clinic-{RANDOM}", f".clinic-{RANDOM}0", f".clinics-{RANDOM}", "clinic"],
)
def test_folders_of_others_stay(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "work").write_text("mine")
    remove_left_behind(tmp_path, "clinic")
    assert (tmp_path / name / "work").read_text() == "mine"


def test_the_mark_alone_is_not_enough_and_neither_is_the_name(left):
    for name, mark in ((".run-backup", (left / MARK).read_text()), (f".run-{RANDOM}", "a file of mine")):
        other = left.parent / name
        other.mkdir()
        (other / MARK).write_text(mark)
        (other / "work").write_text("mine")
    (left.parent / f".run-{RANDOM[::-1]}").symlink_to(left.parent / ".run-backup")
    remove_left_behind(left.parent, "run")
    assert sorted(os.listdir(left.parent)) == sorted([".run-backup", f".run-{RANDOM}", f".run-{RANDOM[::-1]}"])
    assert (left.parent / ".run-backup" / "work").read_text() == "mine"


@pytest.mark.parametrize("name", ["run[1]", "r*n", "r?n", "r.n", "(run", "r\\n"])
def test_a_name_stands_for_itself_alone(tmp_path, left, name):
    remove_left_behind(tmp_path, name)
    assert left.exists()
    with half_written(tmp_path, name) as folder:
        assert is_half_written(folder, name)


def test_links_in_it_lead_to_nothing_that_is_removed(left, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "work").write_text("mine")
    (left / "link").symlink_to(elsewhere)
    (left / "file link").symlink_to(elsewhere / "work")
    remove_left_behind(left.parent, "run")
    assert not left.exists()
    assert (elsewhere / "work").read_text() == "mine"


def test_it_is_its_owner_s_alone_from_the_first_moment(tmp_path):
    before = os.umask(0)
    try:
        with half_written(tmp_path, "run") as folder:
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            assert {stat.S_IMODE((folder / name).stat().st_mode) & 0o700 for name in (MARK, LOCK)} == {0o600}
    finally:
        os.umask(before)


def test_a_folder_in_its_place_has_neither_mark_nor_lock(tmp_path):
    with half_written(tmp_path, "run") as folder:
        os.rename(folder, tmp_path / "run")
        settle(tmp_path / "run")
    assert os.listdir(tmp_path / "run") == []


def test_a_stop_at_the_moment_of_removal_leaves_nothing(tmp_path, monkeypatch):
    settled = []

    def stopped(folder):
        settled.append(folder)
        if len(settled) == 1:
            raise KeyboardInterrupt
        settle(folder)

    monkeypatch.setattr("vestige.core.half_written.settle", stopped)
    with pytest.raises(KeyboardInterrupt), half_written(tmp_path, "run"):
        pass
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("names", [(), (LOCK,)])
def test_what_a_kill_left_before_the_mark_is_removed(tmp_path, names):
    left = tmp_path / f".run-{RANDOM}"
    left.mkdir()
    for name in names:
        (left / name).touch()
    remove_left_behind(tmp_path, "run")
    assert os.listdir(tmp_path) == []


def test_a_folder_that_a_neighbour_removes_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    mkdir = Path.mkdir
    made: list[Path] = []

    def removed_at_once(path, *arguments, **given):
        mkdir(path, *arguments, **given)
        if not made and path.parent == tmp_path:
            made.append(path)
            remove_left_behind(tmp_path, "run")

    monkeypatch.setattr(Path, "mkdir", removed_at_once)
    with half_written(tmp_path, "run") as folder:
        assert made == [folder]
        assert (folder / MARK).exists()
