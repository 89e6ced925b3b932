"""`vestige bank` and `vestige doctor`."""

import os

import pytest

from vestige.training.bank import Bank
from vestige.training.model_key import ModelKey, key_of


@pytest.fixture
def bank(tmp_path):
    kept = Bank(tmp_path / "bank")
    for seed, days in enumerate((1, 10, 100)):
        model_key = ModelKey(data="d" * 64, membership=f"row {seed}", recipe={"network": {"name": "a:net"}}, seed=seed)
        key = key_of(model_key)
        kept.put_all({key: (model_key, {"weights": b"x" * 1000}, {})})
        done = kept.folder / key / "done.json"
        then = done.stat().st_mtime - days * 86_400
        os.utime(done, (then, then))
    return kept


def test_models_alike_are_one_line(vestige, bank):
    done = vestige("bank", "list", "--bank", bank.folder)
    header, line, folder = done.out.splitlines()
    assert header.split("\t")[0] == "models"
    assert [line.split("\t")[place] for place in (0, 4, 5)] == ["3", "d" * 12, "a:net"]
    assert folder == f"Folder: {bank.folder}"


def test_old_models_go_and_the_others_stay(vestige, bank):
    asked = ("bank", "prune", "--older-than", "9", "--bank", bank.folder)
    assert "Would remove 2 models" in vestige(*asked, "--dry-run").out
    assert len(bank.keys()) == 3
    assert "Removed 2 models" in vestige(*asked).out
    assert len(bank.keys()) == 1
    assert "Removed 1 models" in vestige("bank", "prune", "--older-than", "0", "--bank", bank.folder).out
    assert bank.keys() == []


def test_a_model_that_is_trained_right_now_stays(bank):
    keys = bank.keys()
    claim = Bank(bank.folder).claim(keys[:1])
    assert claim is not None
    with claim:
        assert bank.remove(keys) == keys[1:]
        assert bank.keys() == keys[:1]


def test_no_bank_is_made_by_looking(vestige, tmp_path):
    vestige("bank", "list", "--bank", tmp_path / "none")
    vestige("bank", "prune", "--older-than", "0", "--bank", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_the_doctor_names_what_is_there_and_the_cure_of_what_is_not(vestige):
    done = vestige("doctor")
    assert done.code == 0, done
    states = dict(line.split("\t")[:2] for line in done.out.splitlines())
    assert states["charts"] == "works"
    assert states["torch"] == "there"
    missing = [line for line in done.out.splitlines() if "\tmissing\t" in line]
    assert all("pip install" in line for line in missing)
