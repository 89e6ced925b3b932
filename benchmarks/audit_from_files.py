"""Bars of the audit from files."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from scipy import special

from benchmarks.bar import Bar, seconds
from vestige.evaluation.intervals import tpr_at_fpr_bounds
from vestige.evaluation.permutation import familywise_test
from vestige.evaluation.roc import point_at_fpr, roc
from vestige.evaluation.thresholds import balanced_accuracy_threshold

ISSUE = 2
TABLES_ISSUE = 14


def threshold_search() -> Iterator[Bar]:
    """Song & Mittal's rule by sorting against the same rule as it is published, one pass over all scores per
    candidate."""
    rng = np.random.default_rng(0)
    members, nonmembers = rng.normal(0.5, 1, 10_000), rng.normal(0, 1, 10_000)

    def literal() -> float:
        best, threshold = 0.0, 0.0
        for value in np.concatenate([members, nonmembers]):
            accuracy = 0.5 * (np.sum(members >= value) / members.size + np.sum(nonmembers < value) / nonmembers.size)
            if accuracy > best:
                best, threshold = accuracy, value
        return float(threshold)

    assert balanced_accuracy_threshold(members, nonmembers) == literal()
    ours, theirs = seconds(lambda: balanced_accuracy_threshold(members, nonmembers), 10), seconds(literal, 2)
    yield Bar(
        "threshold_search", ISSUE, f"threshold of 20,000 scores, {ours * 1e3:.1f} ms",
        f"the literal quadratic rule, {theirs * 1e3:.0f} ms", theirs / ours, 100, 100, at_least=True,
    )  # fmt: skip


def tpr_interval() -> Iterator[Bar]:
    """The interval of TPR at a fixed FPR against a resampling bootstrap of 1,000 draws."""
    rng = np.random.default_rng(0)
    members, nonmembers = rng.normal(0.5, 1, 50_000), rng.normal(0, 1, 50_000)
    curve = roc(members, nonmembers)

    def bootstrap() -> np.ndarray:
        draws = np.empty(20)
        for i in range(draws.size):  # a fiftieth of the draws; scaled below
            a, b = rng.choice(members, members.size), rng.choice(nonmembers, nonmembers.size)
            draws[i] = np.mean(a > np.partition(b, -501)[-501])
        return np.quantile(draws, [0.025, 0.975])

    ours, theirs = seconds(lambda: tpr_at_fpr_bounds([curve], [0.01]), 20), seconds(bootstrap) * 50
    yield Bar(
        "tpr_interval", ISSUE, f"interval of TPR at FPR .01, 100,000 records, {ours * 1e3:.1f} ms",
        f"a bootstrap of 1,000 resamples, {theirs * 1e3:.0f} ms", theirs / ours, None, None, at_least=True,
    )  # fmt: skip


def permutation_test() -> Iterator[Bar]:
    """The familywise test by rotations against 1,000 shuffles."""
    rng = np.random.default_rng(0)
    n = 100_000
    member = np.arange(n) < n // 2
    scores = [rng.normal(size=n) for _ in range(6)]
    matrix = np.column_stack(scores)

    def shuffles() -> float:
        labels = member.astype(float)
        return max(float((rng.permutation(labels) @ matrix).max()) for _ in range(50))

    ours = seconds(lambda: familywise_test(scores, member, 0.01, rng), 2)
    theirs = seconds(shuffles, 2) * 20
    yield Bar(
        "permutation_test", ISSUE, f"all {n:,} rotations, 6 attacks, {ours:.2f} s", f"1,000 shuffles, {theirs:.2f} s",
        theirs / ours, None, None, at_least=True,
    )  # fmt: skip


def peer_roc() -> Iterator[Bar]:
    """TPR at a fixed FPR against an installed peer (extra `bench`) on the same scores."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from art.metrics.privacy.worst_case_mia_score import get_roc_for_fpr

    rng = np.random.default_rng(0)
    scores = special.expit(rng.normal(np.repeat([0.5, 0.0], 100_000), 1))
    member = np.repeat([1, 0], 100_000)

    def ours_() -> float:
        curve = roc(scores[:100_000], scores[100_000:])
        return float(curve.tpr[point_at_fpr(curve, 0.01)])

    def theirs_() -> float:
        found = get_roc_for_fpr(attack_proba=scores, attack_true=member, targeted_fpr=0.01)
        return float(found[0][1])

    assert abs(ours_() - theirs_()) < 2e-3, (ours_(), theirs_())
    ours, theirs = seconds(ours_, 5), seconds(theirs_, 5)
    yield Bar(
        "peer_roc", ISSUE, f"TPR at FPR .01 of 200,000 scores, {ours * 1e3:.0f} ms",
        f"adversarial-robustness-toolbox get_roc_for_fpr, {theirs * 1e3:.0f} ms", theirs / ours, None, None,
        at_least=True,
    )  # fmt: skip


def _write_case(folder: Path, n: int, n_classes: int = 100) -> None:
    rng = np.random.default_rng(0)
    labels, member = rng.integers(0, n_classes, n), rng.random(n) < 0.5
    table = np.lib.format.open_memmap(folder / "z.npy", mode="w+", dtype=np.float32, shape=(n, n_classes))
    for start in range(0, n, 50_000):
        rows = slice(start, min(start + 50_000, n))
        block = rng.normal(size=(rows.stop - start, n_classes)).astype(np.float32)
        block[np.arange(rows.stop - start), labels[rows]] += 3 + member[rows]
        table[rows] = block
    table.flush()
    np.save(folder / "y.npy", labels)
    np.save(folder / "m.npy", member)


def _audit_seconds_and_bytes(folder: Path, out: str) -> tuple[float, float]:
    """Wall seconds and peak memory of the whole command, as a process of its own."""
    program = (
        "import resource, subprocess, sys; "
        "code = subprocess.run(sys.argv[1:]).returncode; "
        "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = [
        sys.executable, "-m", "vestige", "audit", str(folder / "z.npy"), "--labels", str(folder / "y.npy"),
        "--member", str(folder / "m.npy"), "--out", str(folder / out), "--quiet",
    ]  # fmt: skip
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", program, *command], capture_output=True, text=True, check=True)
    elapsed = time.perf_counter() - start
    code, peak = done.stdout.split()
    assert code == "0", done.stderr
    return elapsed, float(peak) * 1024


def audit_million() -> Iterator[Bar]:
    """The default audit of 1,000,000 records x 100 classes of float32 logits, preflight and page included."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_case(folder, 1_000_000)
        elapsed, peak = min(_audit_seconds_and_bytes(folder, f"run{i}") for i in range(2))
        floor = seconds(lambda: _floor(folder), 2)
    what = f"1,000,000 x 100 float32 logits, {elapsed:.1f} s"
    yield Bar("audit_million_seconds", ISSUE, what, "30 s (goal 12 s)", elapsed / 30, 1, 0.4)
    yield Bar(
        "audit_million_memory", ISSUE, f"the same, peak {peak / 1e9:.2f} GB", "1.2 GB", peak / 1.2e9, 1, 1,
    )  # fmt: skip
    yield Bar(
        "audit_million_floor", ISSUE, what,
        f"reading once, one exp, one log1p, six sorts, {floor:.1f} s", elapsed / floor, None, None,
    )  # fmt: skip


def _floor(folder: Path) -> None:
    """What no audit can do without: read every logit, two transcendental functions each, sort every attack's scores."""
    table = np.load(folder / "z.npy", mmap_mode="r")
    column = np.empty(table.shape[0])
    for start in range(0, table.shape[0], 2048):
        block = np.exp(-np.abs(table[start : start + 2048].astype(np.float64)))
        column[start : start + 2048] = np.log1p(block).sum(axis=1)
    for _ in range(6):
        np.sort(column)


_OF_A_TABLE = """
import resource, sys, time
import numpy as np, pandas, polars
import vestige
kind, n = sys.argv[1], 1_000_000
rng = np.random.default_rng(0)
labels, member = rng.integers(0, 10, n), (rng.random(n) < 0.5).astype(np.int64)
p = rng.random((n, 10)) + 1e-3
p[np.arange(n), labels] += 1 + member
p /= p.sum(axis=1, keepdims=True)
columns = {"id": np.arange(n), "label": labels, "member": member}
if kind == "numpy":
    target = vestige.Predictions(p, labels, member, ids=columns["id"])
else:
    columns |= {f"prob_{i}": p[:, i].copy() for i in range(10)}
    target = {"pandas": pandas.DataFrame, "polars": polars.DataFrame}[kind](columns)
del columns, p
start = time.perf_counter()
result = vestige.audit(target, progress=vestige.silent)
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def frames() -> Iterator[Bar]:
    """An audit of a frame against that of NumPy arrays, 1,000,000 records x 10 classes, each in its own process."""

    def cost(kind: str) -> tuple[float, float]:
        runs = [
            subprocess.run([sys.executable, "-c", _OF_A_TABLE, kind], capture_output=True, text=True, check=True)
            for _ in range(2)
        ]
        numbers = [tuple(map(float, run.stdout.split())) for run in runs]
        return min(run[0] for run in numbers), min(run[1] for run in numbers)

    time_of_arrays, memory_of_arrays = cost("numpy")
    for kind in ("pandas", "polars"):
        elapsed, peak = cost(kind)
        what = f"a frame of {kind}, 1,000,000 x 10"
        yield Bar(
            f"{kind}_seconds", TABLES_ISSUE, f"{what}, {elapsed:.1f} s", f"NumPy arrays, {time_of_arrays:.1f} s",
            elapsed / time_of_arrays, 1.2, 1.1,
        )  # fmt: skip
        yield Bar(
            f"{kind}_memory", TABLES_ISSUE, f"{what}, peak {peak / 1e9:.2f} GB",
            f"NumPy arrays, {memory_of_arrays / 1e9:.2f} GB", peak / memory_of_arrays, 1.2, 1.1,
        )  # fmt: skip


def linear_cost() -> Iterator[Bar]:
    """Marginal cost per record from 10^5 to 10^6 against that from 10^4 to 10^5."""
    times = {}
    with tempfile.TemporaryDirectory() as name:
        for n in (10_000, 100_000, 1_000_000):
            folder = Path(name) / str(n)
            folder.mkdir()
            _write_case(folder, n)
            times[n] = min(_audit_seconds_and_bytes(folder, f"run{i}")[0] for i in range(3 if n < 1_000_000 else 2))
    low = (times[100_000] - times[10_000]) / 90_000
    high = (times[1_000_000] - times[100_000]) / 900_000
    yield Bar(
        "linear_cost", ISSUE,
        f"{high * 1e6:.1f} us a record from 10^5 to 10^6 (times {', '.join(f'{t:.1f} s' for t in times.values())})",
        f"{low * 1e6:.1f} us a record from 10^4 to 10^5", high / low, 1.5, 1.2,
    )  # fmt: skip


def start_up() -> Iterator[Bar]:
    """Importing the package, and asking for help, as processes; the bare interpreter is taken off the import."""

    def run(*arguments: str) -> float:
        return seconds(lambda: subprocess.run([sys.executable, *arguments], capture_output=True, check=True), 7)

    bare = run("-c", "pass")
    imported = run("-c", "import vestige; vestige.Predictions") - bare
    helped = run("-m", "vestige", "--help")
    yield Bar("import_vestige", ISSUE, f"import vestige, {imported:.2f} s", "0.3 s", imported / 0.3, 1, 1)
    yield Bar("vestige_help", ISSUE, f"vestige --help, {helped:.2f} s", "0.5 s", helped / 0.5, 1, 1)


BENCHMARKS: dict[str, Callable[[], Iterator[Bar]]] = {
    "threshold_search": threshold_search,
    "tpr_interval": tpr_interval,
    "permutation_test": permutation_test,
    "peer_roc": peer_roc,
    "audit_million": audit_million,
    "frames": frames,
    "linear_cost": linear_cost,
    "start_up": start_up,
}
