import os
import resource
import stat

import pytest

from vestige.core.errors import OutputError
from vestige.report.files import replacing


def test_a_file_appears_whole(tmp_path):
    with replacing(tmp_path / "a.txt") as file:
        file.write(b"whole")
        assert not (tmp_path / "a.txt").exists()
    assert (tmp_path / "a.txt").read_bytes() == b"whole"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_failure_leaves_what_was_there(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(KeyError), replacing(tmp_path / "a.txt") as file:
        file.writelines({0: b"half"}[i] for i in range(2))
    assert (tmp_path / "a.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_the_mode_holds_from_the_first_moment(tmp_path):
    remains = tmp_path / ".a.txt.partial"
    remains.write_text("of a killed run")
    remains.chmod(0o644)
    with replacing(tmp_path / "a.txt", mode=0o600):
        assert stat.S_IMODE(remains.stat().st_mode) == 0o600
        assert remains.read_bytes() == b""


def test_a_file_as_folder_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("")
    expected = pytest.raises(OutputError, match=r"write a\.txt.*Not a directory.*another folder")
    with expected, replacing(tmp_path / "file" / "a.txt"):
        pass


def test_a_full_disk_is_an_output_error_and_leaves_nothing(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OutputError, match="too large"), replacing(tmp_path / "a.txt") as file:
            file.write(bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path) == []
