"""Options of attacks: set in Python, in a file and on the command line, recorded, and refused where they are none."""

import json
import subprocess
import sys
import tomllib

import numpy as np
import pandas as pd
import pytest

from vestige import Predictions, References, audit
from vestige.attacks import named
from vestige.attacks.base_score import base_score_offline
from vestige.attacks.rmia import rmia_online
from vestige.core.errors import InputError
from vestige.core.outputs import Phi

N = 200
RNG = np.random.default_rng(0)
IS_IN = np.repeat(RNG.random((4, N)) < 0.5, 2, axis=0)
IS_IN[1::2] = ~IS_IN[::2]
MEMBER = np.arange(N) < N // 2
SHADOW_PHI = RNG.normal(size=IS_IN.shape) + IS_IN
PHI = RNG.normal(size=N) + MEMBER


def played(*attacks, run=None):
    target = Predictions(Phi(PHI), np.zeros(N, dtype=int), MEMBER)
    return audit(target, adversary=References(Phi, SHADOW_PHI, IS_IN), attacks=list(attacks), run=run)


def test_an_option_changes_the_scores_as_it_changes_the_function_and_is_recorded(tmp_path):
    usual = played("base_score_offline", "loss")
    other = played("loss", named("base_score_offline").with_options(scale=1.0), run=tmp_path / "run")
    expected = base_score_offline(PHI, SHADOW_PHI, IS_IN, scale=1.0)
    np.testing.assert_allclose(other.records["base_score_offline"], expected, rtol=1e-12)
    assert not np.allclose(usual.records["base_score_offline"], expected)
    assert "base_score_offline with scale = 1.0" in other.provenance.definitions["attacks"]
    assert json.loads(other.provenance.attacks["base_score_offline"]) == {"scale": 1.0}
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert json.loads(manifest["attacks"]["base_score_offline"]) == {"scale": 1.0}


def test_the_name_and_the_same_attack_with_options_are_one():
    both = played("base_score_offline", named("base_score_offline").with_options(scale=1.0))
    once = played(named("base_score_offline").with_options(scale=1.0))
    pd.testing.assert_frame_equal(both.records, once.records)


def test_a_function_of_the_catalogue_is_the_attack_of_its_name():
    pd.testing.assert_frame_equal(played(rmia_online, "loss").records, played("rmia_online", "loss").records)


@pytest.mark.parametrize(
    ("attack", "options", "said"),
    [
        (
            "base_score_offline",
            {"scal": 1.0},
            "option of the attack base_score_offline, found scal; you may mean scale",
        ),
        ("base_score_offline", {"scale": "much"}, "Expected a float as option scale .* such as 0.33, found 'much'"),
        ("base_score_offline", {"scale": True}, "Expected a float as option scale"),
        ("loss", {"power": 2}, "found power; it has none"),
        ("lira_online", {"center": "median"}, "found center; those of likelihood ratios are in LikelihoodRatio"),
        ("attack_p", {"seed": 1}, "found seed; it has none"),
    ],
)
def test_what_is_no_option_is_refused(attack, options, said):
    with pytest.raises(InputError, match=said):
        named(attack).with_options(**options)


def test_an_attack_with_two_sets_of_options_is_refused():
    two = [named("base_score_offline").with_options(scale=scale) for scale in (0.5, 1.0)]
    with pytest.raises(InputError, match="Expected the attack base_score_offline once"):
        played(*two)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("options")
    losses = np.logaddexp(0, -PHI)
    frame = pd.DataFrame({"loss": losses, "label": 0, "member": MEMBER.astype(int), "id": np.arange(N)})
    frame.to_csv(folder / "p.csv", index=False)
    np.savez(folder / "r.npz", reference_phi=SHADOW_PHI, reference_member=IS_IN, reference_ids=np.arange(N))
    return folder


def vestige(folder, *words):
    return subprocess.run([sys.executable, "-m", "vestige", *words], cwd=folder, capture_output=True, text=True)


def test_they_are_set_on_the_command_line_and_stand_in_the_run_s_own_file(table):
    words = ("audit", "p.csv", "--reference", "r.npz", "--attack", "base_score_offline", "--attack", "loss")
    done = vestige(table, *words, "--set", "attacks.base_score_offline.scale=1.0", "--out", "run")
    assert done.returncode == 0, done.stderr
    records = pd.read_parquet(table / "run" / "records.parquet")
    expected = base_score_offline(PHI, SHADOW_PHI, IS_IN, scale=1.0)
    np.testing.assert_allclose(records["base_score_offline"], expected, atol=1e-9)
    written = tomllib.loads((table / "run" / "audit.toml").read_text())["attacks"]
    assert written["base_score_offline"] == {"scale": 1.0}
    assert "options" not in written


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("attacks.base_score_offlin.scale=1.0", "found [attacks.base_score_offlin]; you may mean base_score_offline"),
        ("attacks.rmia_online.gamma=2.0", "Expected options of an attack that is played, found [attacks.rmia_online]"),
        ("attacks.base_score_offline.scal=1.0", "found scal; you may mean scale"),
    ],
)
def test_options_of_another_attack_are_refused_in_one_line(table, setting, said):
    words = ("audit", "p.csv", "--reference", "r.npz", "--attack", "base_score_offline", "--set", setting)
    done = vestige(table, *words, "--out", "none")
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (table / "none").exists()
