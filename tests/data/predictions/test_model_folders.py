"""Folders of many models in the layouts of research code: the same models give the same audit in each of them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vestige import audit
from vestige.core.errors import InputError
from vestige.core.outputs import Loss
from vestige.data import holds_models, read_model_folder
from vestige.signals.phi import phi_from_logits

N, CLASSES, MODELS, QUERIES = 120, 3, 12, 2


def made(seed: int = 0, *, pairs: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits (models x records x queries x classes), who was trained on what, and labels."""
    rng = np.random.default_rng(seed)
    keep = rng.uniform(size=(MODELS, N)).argsort(axis=0) < MODELS // 2
    if pairs:
        keep[1::2] = ~keep[::2]
    labels = rng.integers(0, CLASSES, N)
    logits = rng.normal(size=(MODELS, N, QUERIES, CLASSES)) + rng.normal(size=(N, 1, CLASSES))
    logits[:, np.arange(N), :, labels] += 2 * keep.T[:, :, None]
    return logits.astype(np.float32), keep, labels


def lira_pytorch(folder: Path, logits: np.ndarray, keep: np.ndarray, kind: str = "logits") -> Path:
    for number in range(len(keep)):
        (folder / str(number)).mkdir(parents=True)
        np.save(folder / str(number) / "keep.npy", keep[number])
        np.save(folder / str(number) / f"{kind}.npy", logits[number])
    return folder


def mi_lira_2021(folder: Path, logits: np.ndarray, keep: np.ndarray, kind: str = "logits") -> Path:
    for number in range(len(keep)):
        place = folder / f"experiment-{number}_{len(keep)}"
        (place / kind).mkdir(parents=True)
        np.save(place / "keep.npy", keep[number])
        np.save(place / kind / "0000000100.npy", logits[number][:, None])
        np.save(place / kind / "0000000020.npy", np.zeros_like(logits[number])[:, None])
    np.save(folder / "experiment-0_12" / kind / "0000000120.npy", np.zeros((N, 1)))  # others did not come so far
    return folder


def privacy_meter(folder: Path, logits: np.ndarray, keep: np.ndarray, labels: np.ndarray) -> Path:
    (folder / "signals").mkdir(parents=True)
    np.save(folder / "memberships.npy", keep)
    p = np.exp(logits[:, np.arange(N), 0, labels].astype(float))
    np.save(folder / "signals" / "softmax.npy", (p / np.exp(logits[:, :, 0].astype(float)).sum(axis=2)).T)
    return folder


def scores_of(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return phi_from_logits(logits, labels[None, :, None])


def areas(folder: Path, labels: Path | None = None) -> dict[str, float]:
    target, references = read_model_folder(folder, labels)
    results = audit(target, adversary=references).results.query("metric == 'auc' and group == 'all'")
    return dict(zip(results["attack"], results["value"], strict=True))


def test_layouts_of_the_same_models_give_the_same_numbers(tmp_path):
    logits, keep, labels = made()
    one, phi = logits[:, :, :1], scores_of(logits, labels)
    np.save(tmp_path / "y.npy", labels)
    first = areas(lira_pytorch(tmp_path / "a", logits, keep), tmp_path / "y.npy")
    assert areas(mi_lira_2021(tmp_path / "b", logits, keep), tmp_path / "y.npy") == first
    of_scores = areas(mi_lira_2021(tmp_path / "c", phi, keep, "scores"))
    shared = [name for name in of_scores if name != "worst"]
    assert "lira_online" in shared
    assert [of_scores[name] for name in shared] == pytest.approx([first[name] for name in shared], abs=1e-5)
    single = areas(lira_pytorch(tmp_path / "d", one, keep), tmp_path / "y.npy")
    of_signals = areas(privacy_meter(tmp_path / "e", logits, keep, labels))
    shared = [name for name in of_signals if name != "worst"]
    assert [of_signals[name] for name in shared] == pytest.approx([single[name] for name in shared], abs=1e-5)


def test_models_are_numbered_and_the_complement_of_the_target_is_left_out(tmp_path):
    logits, keep, labels = made()
    np.save(lira_pytorch(tmp_path / "a", logits, keep) / "labels.npy", labels)  # found by itself
    target, references = read_model_folder(tmp_path / "a")
    assert target.member.tolist() == keep[0].tolist()
    assert references.member.tolist() == keep[2:].tolist()  # 10 and 11 after 9, not after 1
    assert [a.tolist() for a in references.models()] == logits[2:].astype(float).tolist()
    assert "model 0 is the target, 10 others are references; 1, trained on exactly the other" in target.notes[0]
    assert str(audit(target, adversary=references).preflight.validity) != "CONFOUNDED"


def test_every_record_in_half_of_all_models_is_no_trouble(tmp_path):
    logits, keep, labels = made(pairs=False)
    np.save(mi_lira_2021(tmp_path / "a", logits, keep) / "labels.npy", labels)
    target, references = read_model_folder(tmp_path / "a")
    result = audit(target, adversary=references)
    assert str(result.preflight.validity) != "CONFOUNDED"
    assert any(check.name == "exact_halves" for check in result.preflight.checks)


def test_a_certain_answer_is_read(tmp_path):
    logits, keep, labels = made()
    folder = privacy_meter(tmp_path / "a", logits, keep, labels)
    signals = np.load(folder / "signals" / "softmax.npy")
    signals[:5, 0], signals[5, 0] = 1.0, 0.0
    np.save(folder / "signals" / "softmax.npy", signals)
    target, references = read_model_folder(folder)
    assert target.output(Loss) is not None
    assert "lira_online" in set(audit(target, adversary=references).results["attack"])


def test_folders_that_are_not_whole_are_refused_in_one_line(tmp_path):
    logits, keep, labels = made()
    folder = lira_pytorch(tmp_path / "a", logits, keep)
    with pytest.raises(InputError, match=r"a: Expected the true class of each record beside logits, found no labels"):
        read_model_folder(folder)
    np.save(folder / "labels.npy", labels)
    np.save(folder / "3" / "keep.npy", keep[3][:-1])
    with pytest.raises(InputError, match=r"Expected one entry per record in each keep\.npy, the same number in all"):
        read_model_folder(folder)
    np.save(folder / "3" / "keep.npy", keep[3] * 2)
    with pytest.raises(InputError, match=r"Expected 0 or 1 in keep\.npy, found others"):
        read_model_folder(folder)
    np.save(folder / "3" / "keep.npy", keep[3])
    np.save(folder / "0" / "logits.npy", logits[0, :-1])
    with pytest.raises(InputError, match=r"Expected answers of model 0 as records x queries x classes for 120 records"):
        read_model_folder(folder)
    (folder / "5" / "logits.npy").unlink()
    with pytest.raises(InputError, match=r"that every model has, in 0, 1, 2.*, found none"):
        read_model_folder(folder)
    meter = privacy_meter(tmp_path / "b", logits, keep, labels)
    np.save(meter / "signals" / "other.npy", keep.T)
    with pytest.raises(InputError, match=r"Expected one array in signals/ .* found other\.npy"):
        read_model_folder(meter)
    (meter / "signals" / "softmax.npy").unlink()
    with pytest.raises(InputError, match=r"Expected probabilities of the true class in other\.npy"):
        read_model_folder(meter)
    (tmp_path / "c").mkdir()
    assert not holds_models(tmp_path / "c")
    with pytest.raises(InputError, match=r"c: Expected a folder per model with keep\.npy .* found 0 of them"):
        read_model_folder(tmp_path / "c")


def vestige(folder: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "vestige", *command], cwd=folder, text=True, capture_output=True)


def test_the_command_line_takes_such_a_folder(tmp_path):
    logits, keep, labels = made()
    np.save(tmp_path / "y.npy", labels)
    lira_pytorch(tmp_path / "models", logits, keep)
    done = vestige(tmp_path, "audit", "models", "--labels", "y.npy", "--out", "RUN")
    assert done.returncode == 0, done.stderr
    assert "10 models like it" in " ".join(done.stdout.split())
    again = pd.read_parquet(tmp_path / "RUN" / "results.parquet").query("metric == 'auc' and group == 'all'")
    assert dict(zip(again["attack"], again["value"], strict=True)) == areas(tmp_path / "models", tmp_path / "y.npy")
    assert vestige(tmp_path, "audit", "RUN/audit.toml", "--out", "AGAIN").returncode == 0
    done = vestige(tmp_path, "audit", "models", "--labels", "y.npy", "--shadow", "x.npz", "--out", "B")
    assert done.returncode == 2
    assert "Expected no target.shadow beside models, a folder of models, found one" in done.stderr


def test_models_beside_two_tables_are_not_taken_for_the_predictions(tmp_path):
    logits, keep, labels = made()
    lira_pytorch(tmp_path, logits, keep)  # in the folder that the tables are in
    for name, side in (("a", keep[0]), ("b", ~keep[0])):
        p = np.exp(logits[0, side, 0].astype(float))
        table = pd.DataFrame(p / p.sum(axis=1, keepdims=True), columns=[f"prob_{c}" for c in range(CLASSES)])
        table.assign(label=labels[side]).to_csv(tmp_path / f"{name}.csv", index=False)
    done = vestige(tmp_path, "audit", "--members", "a.csv", "--nonmembers", "b.csv", "--out", "RUN")
    assert done.returncode == 0, done.stderr
