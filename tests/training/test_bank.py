"""The bank: what goes in comes out, whole or not at all, and once."""

import errno
import fcntl
import itertools
import os
import re
import shutil
import stat
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.training.stacks import FACTS, FILES, HOW, KEY, ROOT, filled, remains, stack

from vestige.core.errors import InputError, OutputError
from vestige.training.bank import Bank, default_folder
from vestige.training.model_key import key_of


@pytest.fixture
def bank(tmp_path):
    return filled(tmp_path / "bank")


# ------------------------------------------------------------------------------------ put and get


def test_what_is_put_is_got(bank):
    assert bank.has(KEY)
    assert bank.get(KEY, FACTS) == FILES
    assert bank.how(KEY, FACTS) == HOW
    assert bank.keys() == [KEY]
    assert Bank(bank.folder).get(KEY, FACTS) == FILES
    assert remains(bank.folder) == []


def test_what_was_never_put_is_not_there(bank):
    other = replace(FACTS, seed=1)
    assert bank.get(key_of(other), other) is None
    assert bank.how(key_of(other), other) is None
    assert not bank.has(key_of(other))


@settings(max_examples=25)
@given(st.dictionaries(st.text("abcxyz0123._-", min_size=1).filter(lambda n: n[0] != "."), st.binary()))
def test_any_files_come_back_as_they_went(tmp_path_factory, files):
    bank = Bank(tmp_path_factory.mktemp("bank"))
    bank.put_all({KEY: (FACTS, files, {})})
    assert bank.get(KEY, FACTS) == files


def test_the_first_model_of_a_key_stays(bank):
    new = stack(2)
    bank.put_all({**new, KEY: (FACTS, {"weights.bin": b"other"}, {})})
    assert bank.get(KEY, FACTS) == FILES
    assert bank.keys() == sorted([KEY, *new])
    assert remains(bank.folder) == []


def test_only_the_owner_reads_models(bank):
    for path in [bank.folder, *bank.folder.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_folders_without_done_are_no_models_and_are_replaced(bank):
    (bank.folder / KEY / "done.json").unlink()
    assert bank.get(KEY, FACTS) is None
    assert bank.keys() == []
    bank.put_all({KEY: (FACTS, {"weights.bin": b"new"}, {})})
    assert bank.get(KEY, FACTS) == {"weights.bin": b"new"}


def test_a_removed_model_can_be_put_again(bank):
    shutil.rmtree(bank.folder / KEY)
    assert bank.get(KEY, FACTS) is None
    bank.put_all({KEY: (FACTS, FILES, HOW)})
    assert bank.get(KEY, FACTS) == FILES


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "..", "done.json"])
def test_files_have_plain_names(bank, name):
    facts = replace(FACTS, seed=2)
    with pytest.raises(InputError, match=f"Expected plain names of files, found '{re.escape(name)}'"):
        bank.put_all({key_of(facts): (facts, {"fine": b"", name: b""}, {})})
    assert bank.keys() == [KEY]
    assert remains(bank.folder) == []


def test_a_key_of_other_facts_is_refused(bank):
    with pytest.raises(InputError, match=f"Expected the key {KEY[:12]} of these facts, found aaaaaaaaaaaa"):
        bank.put_all({"a" * 64: (FACTS, FILES, {})})


def test_what_is_noted_is_json(bank):
    facts = replace(FACTS, seed=2)
    with pytest.raises(InputError, match="Expected text and numbers about a training, found: a set"):
        bank.put_all({key_of(facts): (facts, FILES, {"threads": {1}})})


# -------------------------------------------------------------------------------- the usual place


def test_the_usual_place(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("VESTIGE_BANK", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert default_folder() == tmp_path / "home" / ".cache" / "vestige" / "bank"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert default_folder() == tmp_path / "home" / ".cache" / "vestige" / "bank"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert Bank().folder == tmp_path / "cache" / "vestige" / "bank"
    monkeypatch.setenv("VESTIGE_BANK", str(tmp_path / "mine"))
    assert Bank().folder == tmp_path / "mine"
    assert (tmp_path / "mine" / "journal").is_dir()


# --------------------------------------------------------------------------- full and unwritable


def failing(monkeypatch, step, fail_at):
    """Let one call of an operating-system function fail, as on a full disk; return a list that says if it did."""
    true, calls, failed = getattr(os, step), itertools.count(1), []

    def full(*args, **kwargs):
        if next(calls) == fail_at:
            failed.append(fail_at)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return true(*args, **kwargs)

    monkeypatch.setattr(os, step, full)
    return failed


def refusal(bank, models):
    try:
        bank.put_all(models)
    except OutputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("step", ["mkdir", "open", "fsync", "rename"])
def test_a_full_disk_leaves_the_bank_as_it_was(bank, monkeypatch, step):
    models, told = stack(3), []
    for fail_at in itertools.count(1):
        with monkeypatch.context() as patch:
            failed = failing(patch, step, fail_at)
            told.append(refusal(bank, models))
        assert Bank(bank.folder).keys() in ([KEY], sorted([KEY, *models]))
        assert remains(bank.folder) == []
        if not failed:  # there are not that many calls
            break
        for key in models:
            shutil.rmtree(bank.folder / key, ignore_errors=True)
    told = [t for t in told if t]  # filelock makes sure of its folder, and does without an answer
    assert len(told) > 3
    assert all("to the bank" in t and "found: No space left on device;" in t for t in told)
    assert all("Make room there, or name another folder with --bank or VESTIGE_BANK." in t for t in told)
    assert bank.keys() == sorted([KEY, *models])
    assert bank.get(KEY, FACTS) == FILES


def test_a_file_that_cannot_grow_is_told_and_a_later_put_works(tmp_path):
    """The kernel itself refuses the bytes, past a limit of this process."""
    script = """
import resource, sys
from tests.training.stacks import Bank, stack
from vestige.core.errors import OutputError
bank = Bank(sys.argv[1])
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
small, large = stack(3, size=1000), stack(3, seed=1, size=9000)
bank.put_all(small)
try:
    bank.put_all(large)
except OutputError as error:
    print(error)
assert bank.keys() == sorted(small), bank.keys()
assert list(bank.folder.joinpath("journal").iterdir()) == []
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
bank.put_all(large)
assert all(bank.get(key, facts) == files for key, (facts, files, _) in {**small, **large}.items())
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "bank")], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Expected to write 3 models to the bank" in done.stdout
    assert "found: File too large" in done.stdout


def test_a_bank_where_a_file_is(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"Expected to open the bank .*/file, found: File exists.*--bank"):
        Bank(tmp_path / "file")
    with pytest.raises(OutputError, match=r"found: (File exists|Not a directory)"):
        Bank(tmp_path / "file" / "bank")


def test_a_file_system_without_locks(bank, monkeypatch):
    def none(*args):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(fcntl, "flock", none)
    told = r"Expected to claim models of the bank .*, found: Invalid argument; .* name another folder with --bank"
    with pytest.raises(OutputError, match=told):
        bank.claim([KEY])
    with pytest.raises(OutputError, match="Expected to open the bank"):
        Bank(bank.folder)


def test_what_is_not_the_bank_s_own_stays(tmp_path):
    for name in ("staging-2023", "ready-for-release", "staging-", f"staging-{'0' * 31}g"):
        (tmp_path / "bank" / "journal" / name / "Documents").mkdir(parents=True)
    (tmp_path / "bank" / "Documents").mkdir()
    Bank(tmp_path / "bank")
    assert len(list((tmp_path / "bank" / "journal").glob("*/Documents"))) == 4
    assert (tmp_path / "bank" / "Documents").exists()
