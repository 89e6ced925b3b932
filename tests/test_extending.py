"""What adding a thing takes: each example of `examples/extending` is put into a copy of the sources and played."""

import gzip
import json
import math
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXTENDING = ROOT / "examples" / "extending"
ATTACKS = "src/vestige/attacks"
TABLE = """
import numpy as np, vestige
from vestige.core.outputs import Logits
rng = np.random.default_rng(0)
n, labels = 400, np.arange(400) % 3
member = rng.permutation(n) < n // 2
z = rng.normal(size=(n, 3))
z[np.arange(n), labels] += 1 + member
def played(*names, **more):
    results = vestige.audit(vestige.Predictions(Logits(z), labels, member), attacks=names, **more).results
    rows = results.query("metric == 'auc' and group == 'all'").groupby("attack")["value"].first()
    return [round(float(rows[name]), 3) for name in names]
"""


@pytest.fixture
def tree(tmp_path):
    """A copy of the sources."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    return tmp_path


def run_in(folder: Path, *command: str, cwd: Path | None = None) -> str:
    """What a command of Python prints, with the sources of the folder and no others."""
    done = subprocess.run(
        [sys.executable, *command], cwd=cwd or folder, text=True, capture_output=True, timeout=120,
        env=os.environ | {"PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def printed(folder: Path, code: str) -> list[str]:
    """Lines that some code prints; what it imports is the copy, not an installed package."""
    first, *lines = run_in(folder, "-c", f"import vestige; print(vestige.__file__)\n{code}").splitlines()
    assert Path(first).is_relative_to(folder)
    return lines


def changed(folder: Path) -> list[str]:
    """Files of a copy that are new or other than ours, but for the bibliography."""
    names = [path.relative_to(folder).as_posix() for path in (folder / "src").rglob("*.*") if path.is_file()]
    ours = {name: (ROOT / name).read_bytes() if (ROOT / name).exists() else None for name in names}
    return sorted(n for n in names if not n.endswith((".pyc", ".bib")) and ours[n] != (folder / n).read_bytes())


def add_attack(folder: Path, file: Path) -> None:
    shutil.copy(file, folder / ATTACKS)
    with (folder / ATTACKS / "sources.bib").open("a", encoding="utf-8") as bibliography:
        bibliography.write(file.with_suffix(".bib").read_text(encoding="utf-8"))


def patch(folder: Path, file: Path) -> None:
    apart = os.environ | {"GIT_CEILING_DIRECTORIES": str(folder.parent)}  # the copy is in no repository
    subprocess.run(["git", "apply", str(file)], cwd=folder, check=True, env=apart)


def keeps_the_laws(folder: Path, attack: str) -> bool:
    """Whether the laws of the catalogue, which find an attack by themselves, hold for it."""
    of_it = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/attacks/test_catalogue.py", "-k", f"[{attack}]")
    return " passed" in run_in(folder, *of_it, cwd=ROOT)


def test_an_attack_is_one_file(tree):
    add_attack(tree, EXTENDING / "attack" / "second_choice.py")
    assert changed(tree) == [f"{ATTACKS}/second_choice.py"]
    code = (
        TABLE
        + """
print(played("second_choice", "max_confidence"))
from vestige import cli
from vestige.attacks import bibtex, named
found = named("second_choice")
print(found.access, found.knowledge, found.needs, found.defaults, bibtex("second_choice")[:5])
cli.app(["attacks"], standalone_mode=False)
"""
    )
    numbers, entry, *table = printed(tree, code)
    ours, known = json.loads(numbers)
    assert 0.5 < ours < 1
    assert abs(ours - known) < 0.1
    assert entry == "confidence () probabilities or logits of every class {'power': 1.0} @misc"
    assert any(row.startswith("second_choice\tyes\tconfidence\t1\t") for row in table)
    assert keeps_the_laws(tree, "second_choice")


def test_an_attack_on_a_new_signal_is_two_files(tree):
    add_attack(tree, EXTENDING / "signal" / "class_margin.py")
    patch(tree, EXTENDING / "signal" / "signal.patch")
    assert changed(tree) == [f"{ATTACKS}/class_margin.py", "src/vestige/core/signal.py"]
    code = (
        TABLE
        + """
print(played("class_margin", "loss"))
margins = z[np.arange(n), labels] - np.where(np.eye(3, dtype=bool)[labels], -np.inf, z).max(axis=1)
print((margins[member][:, None] > margins[~member]).mean())
from vestige.attacks import named
print(named("class_margin").access, named("class_margin").knowledge)
"""
    )
    numbers, by_hand, entry = printed(tree, code)
    assert json.loads(numbers)[0] == pytest.approx(float(by_hand), abs=0.0006)
    assert entry == "confidence ('label',)"


def test_a_label_only_probe_is_one_file_of_a_user(tree):
    shutil.copy(EXTENDING / "probe" / "laplace_copies.py", tree)
    assert changed(tree) == []
    lines = printed(tree, "import laplace_copies; print(laplace_copies.LaplaceCopies().n_queries(0.2))")
    assert lines == ["50"]
    said = run_in(tree, "laplace_copies.py")
    assert "LEAK SHOWN" in said
    assert "noise_robustness: strength 0." in said
    assert "label_only_likelihood_ratio: strength 0." in said


def test_a_metric_is_a_row_and_its_interval(tree):
    patch(tree, EXTENDING / "metric" / "rows.patch")
    assert changed(tree) == ["src/vestige/auditing/results/rows.py"]
    code = (
        TABLE
        + """
results = vestige.audit(vestige.Predictions(Logits(z), labels, member), attacks=["loss"]).results
rows = results[results["group"].eq("all") & results["attack"].eq("loss")]
rows = rows.set_index(["threshold", "metric"])[["value", "lower", "upper"]]
for threshold in {t for t, metric in rows.index if metric == "advantage"}:
    ours, known = rows.loc[(threshold, "advantage")], rows.loc[(threshold, "balanced_accuracy")]
    print(float(abs(ours - (2 * known - 1)).max()))
"""
    )
    distances = printed(tree, code)
    assert distances
    assert max(map(float, distances)) < 1e-12


def test_a_data_set_is_one_entry(tree):
    file = tree / "src" / "vestige" / "data" / "sets" / "sets.json"
    entry = json.loads((EXTENDING / "data_set" / "entry.json").read_text(encoding="utf-8"))
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | entry), encoding="utf-8")
    assert changed(tree) == ["src/vestige/data/sets/sets.json"]
    (tree / "data" / "fashion-mnist").mkdir(parents=True)
    for part, n in (("train", 6), ("t10k", 4)):
        for kind, shape in (("images-idx3", (n, 28, 28)), ("labels-idx1", (n,))):
            head = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)
            values = bytes(i % 10 for i in range(math.prod(shape)))
            path = tree / "data" / "fashion-mnist" / f"{part}-{kind}-ubyte.gz"
            path.write_bytes(gzip.compress(head + values))
    code = """
from pathlib import Path
from vestige import cli
from vestige.data.sets.named import load
found = load("fashion-mnist", folder=Path("data"))
print(found.inputs.shape, found.labels.tolist())
cli.app(["data", "list"], standalone_mode=False)
"""
    loaded, *table = printed(tree, code)
    assert loaded == "(10, 28, 28, 1) [0, 1, 2, 3, 4, 5, 0, 1, 2, 3]"
    assert any(row.startswith("fashion-mnist") for row in table)


def test_a_model_format_is_a_file_and_a_row(tree):
    shutil.copy(EXTENDING / "model_format" / "weight_matrix.py", tree / "src" / "vestige" / "targets" / "files")
    patch(tree, EXTENDING / "model_format" / "model_file.patch")
    files = "src/vestige/targets/files"
    assert changed(tree) == [f"{files}/model_file.py", f"{files}/weight_matrix.py"]
    code = """
import numpy as np
rng = np.random.default_rng(0)
x, w = rng.normal(size=(200, 4)), rng.normal(size=(5, 3))
np.save("weights.npy", w)
logits = x @ w[:4] + w[4]
y = logits.argmax(axis=1)
model = vestige.ModelFile("weights.npy")
print(np.abs(model.open_model(3).answers(x).whole() - logits).max())
result = vestige.audit(model, (x[:100], y[:100]), (x[100:], y[100:]), attacks=["correctness", "loss"])
print(sorted(set(result.results["attack"])))
try:
    model.open_model(4)
except vestige.VestigeError as error:
    print(error)
"""
    distance, attacks, error = printed(tree, code)
    assert float(distance) == 0
    assert attacks == "['correctness', 'loss', 'worst']"
    assert error.startswith("Expected a matrix with 4 columns, one per class, in weights.npy, found shape (5, 3)")


def test_a_defence(tree):
    """A file and a plan, anywhere: nothing of ours changes."""
    place = tree / "mine"
    shutil.copytree(EXTENDING / "defence", place)
    code = """
import even_rest, noisy_labels
from vestige.testing import check_defence
print(check_defence(even_rest.defence).defence, check_defence(noisy_labels.defence, records=even_rest.records()))
"""
    assert run_in(tree, "-c", code, cwd=place).startswith("EvenRest FunctionRecipe keeps the laws: fits, answers, ")
    said = run_in(tree, "-m", "vestige", "compare-defences", "plan.toml", "--out", "run", "--bank", "bank", cwd=place)
    assert "even rest: the strongest adaptive attack" in said
    assert "noisy labels: the strongest adaptive attack" in said
    assert (place / "run" / "comparison.html").exists()
    assert changed(tree) == []
