"""Entries: what is foreign or damaged is refused, whatever byte it is in."""

import json
import shutil
from dataclasses import replace

import pytest
from tests.training.stacks import FACTS, FILES, KEY, filled

from vestige.core.errors import ArtefactError
from vestige.training.model_key import key_of


@pytest.fixture
def bank(tmp_path):
    return filled(tmp_path / "bank")


@pytest.mark.parametrize(
    ("change", "sides"),
    [
        ({"seed": 1}, "Expected a model of seed 1, found 0 in done.json"),
        ({"data": "others"}, 'Expected a model of data "others", found "data" in done.json'),
        ({"semantics": 99}, "Expected a model of semantics 99, found 1 in done.json"),
        ({"checkpoints": (2,)}, r"Expected a model of checkpoints \[2\], found \[\] in done.json"),
        ({"recipe": {**FACTS.recipe, "epochs": 4}}, "Expected a model of recipe.epochs 4, found 3 in done.json"),
        ({"recipe": {"epochs": 3}}, "Expected a model of recipe.net.drop nothing, found NaN in done.json"),
        ({"recipe": {**FACTS.recipe, "x": {}}}, "Expected a model of recipe.x {}, found nothing in done.json"),
    ],
)
def test_another_models_entry_is_refused_with_both_sides(bank, change, sides):
    with pytest.raises(ArtefactError, match=f"{sides}; remove the folder .*/{KEY}, and it is trained again"):
        bank.get(KEY, replace(FACTS, **change))
    with pytest.raises(ArtefactError, match=sides):
        bank.how(KEY, replace(FACTS, **change))


def test_an_entry_under_another_key_is_refused(bank):
    other = replace(FACTS, seed=1)
    shutil.copytree(bank.folder / KEY, bank.folder / key_of(other))
    sides = f"Expected a model of key {key_of(other)[:12]}, found key {KEY[:12]}"
    with pytest.raises(ArtefactError, match=sides):
        bank.get(key_of(other), other)


def test_no_flipped_bit_goes_unseen(bank):
    n_flips = 0
    for path in (bank.folder / KEY).iterdir():
        whole = path.read_bytes()
        for at in range(len(whole)):
            damaged = bytearray(whole)
            damaged[at] ^= 1 << (at % 8)
            path.write_bytes(damaged)
            with pytest.raises(ArtefactError, match=f"{KEY[:12]}: Expected .* found .*; remove the folder "):
                bank.get(KEY, FACTS)
            n_flips += 1
        path.write_bytes(whole)
    assert n_flips > 900
    assert bank.get(KEY, FACTS) == FILES


@pytest.mark.parametrize("text", [b"", b"{}", b"null", b"[1]", b"\xff", b'{"facts": 1, "sha256": 2, "format": 3}'])
def test_a_done_that_says_nothing_is_refused(bank, text):
    (bank.folder / KEY / "done.json").write_bytes(text)
    with pytest.raises(ArtefactError, match=r"Expected a done.json (as Vestige writes it|of format vestige-model-1)"):
        bank.get(KEY, FACTS)


def test_a_missing_a_longer_and_a_changed_file_are_named(bank):
    path = bank.folder / KEY / "weights.bin"
    path.write_bytes(FILES["weights.bin"] + b"!")
    with pytest.raises(ArtefactError, match=r"Expected weights.bin with 256 bytes, found 257"):
        bank.get(KEY, FACTS)
    path.write_bytes(bytes(256))
    with pytest.raises(ArtefactError, match=r"Expected weights.bin with SHA-256 40aff2e9d2d8, found 5341e6b26469;"):
        bank.get(KEY, FACTS)
    path.unlink()
    with pytest.raises(ArtefactError, match=r"Expected the file weights.bin, found No such file or directory"):
        bank.get(KEY, FACTS)


def test_an_edited_done_is_refused(bank):
    path = bank.folder / KEY / "done.json"
    done = json.loads(path.read_text())
    done["how"]["threads"] = 64
    path.write_text(json.dumps(done, sort_keys=True, indent=1) + "\n")
    with pytest.raises(ArtefactError, match=r"Expected a done.json with the checksum .*, found another content"):
        bank.get(KEY, FACTS)
