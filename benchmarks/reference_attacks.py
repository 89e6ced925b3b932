"""Bars of attacks with reference models: LiRA with every model as the target, RMIA over a population, and memory."""

import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from scipy.stats import norm

from benchmarks.bar import Bar, seconds
from vestige.attacks.empirical_bayes import empirical_bayes_online
from vestige.attacks.learnt_ratio import learnt_ratio
from vestige.attacks.lira import lira_online
from vestige.attacks.rmia import rmia_online
from vestige.auditing.references.leave_one_out import leave_one_out, record_blocks
from vestige.data.sets.designs import complementary_pairs

ISSUE = 5
_SLICE = 500  # records that the plain script is timed on
_AGREE = 1e-9


def _answers(n_models: int, n_records: int, n_queries: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    is_in = complementary_pairs(n_models, n_records, seed=0)
    phi = rng.normal(size=(n_queries, n_models, n_records)).astype(np.float32)
    phi += 3 * rng.normal(size=n_records).astype(np.float32) + is_in
    return phi, is_in


# ------------------------------------------------------------------------------------- leave one out


def _all_targets(phi: np.ndarray, is_in: np.ndarray) -> float:
    """LiRA of every model as the target: the moments know no queries, so each is scored and the mean is taken."""
    partner, drawn = np.arange(len(is_in)) ^ 1, 0.0
    queries = [leave_one_out(record_blocks(query), is_in, partner) for query in phi]
    for scored in zip(*queries, strict=True):
        scores = scored[0][1]
        for _, others in scored[1:]:
            scores += others
        scores /= len(queries)
        drawn += scores[0, 0]
    return drawn


def _check_agreement(phi: np.ndarray, is_in: np.ndarray) -> None:
    """The last target's scores are those of the attack, query by query."""
    target = len(is_in) - 1
    for query in phi:
        scored = leave_one_out(record_blocks(query), is_in, np.arange(len(is_in)) ^ 1)
        ours = np.concatenate([scores[target] for _, scores in scored])
        theirs = lira_online(query[target], query[: target - 1], is_in[: target - 1])
        np.testing.assert_allclose(ours, theirs, rtol=_AGREE, atol=_AGREE)


def _plain_script(phi: np.ndarray, is_in: np.ndarray, target: int) -> np.ndarray:
    """What one would write: a list of IN and of OUT answers for each record, its median and its deviation."""
    scores = []
    others = [i for i in range(len(is_in)) if i not in (target, target ^ 1)]
    for record in range(phi.shape[2]):
        ratios = []
        for query in range(phi.shape[0]):
            inside = [phi[query, i, record] for i in others if is_in[i, record]]
            outside = [phi[query, i, record] for i in others if not is_in[i, record]]
            observed = phi[query, target, record]
            ratios.append(
                norm.logpdf(observed, np.median(inside), np.std(inside) + 1e-30)
                - norm.logpdf(observed, np.median(outside), np.std(outside) + 1e-30)
            )
        scores.append(np.mean(ratios))
    return np.array(scores)


def all_targets(n_models: int = 256, n_records: int = 50_000) -> Iterator[Bar]:
    """Online LiRA of 256 targets on 50,000 records in two queries, against a script and against reading the array."""
    phi, is_in = _answers(n_models, n_records, 2)
    part, part_in = phi[:, :, :_SLICE], is_in[:, :_SLICE]
    _check_agreement(part, part_in)
    script = seconds(lambda: _plain_script(part, part_in, 0)) * n_records / _SLICE * n_models

    def sums() -> None:
        for _ in range(n_models):
            phi.sum()

    ours, floor = _in_turn([lambda: _all_targets(phi, is_in), sums])
    what = f"{n_models} targets, {n_records:,} records, 2 queries, {ours:.1f} s"
    yield Bar("all_targets", ISSUE, what,
              f"a plain script, {script / 3600:.1f} h (one target and {_SLICE} records, multiplied)", script / ours,
              100, 200, at_least=True)  # fmt: skip
    yield Bar("all_targets_floor", ISSUE, what,
              f"the sum over the same array once per target, {floor:.1f} s", ours / floor, 4, 2)  # fmt: skip


def _in_turn(works: list[Callable[[], object]], rounds: int = 3) -> list[float]:
    """Median wall time of each, taken in turn so that a slow minute of the machine meets all of them."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for times, work in zip(taken, works, strict=True):
            begun = time.perf_counter()
            work()
            times.append(time.perf_counter() - begun)
    return [statistics.median(times) for times in taken]


# -------------------------------------------------------------------------------------- learnt ratio


def learnt(n_models: int = 64, n_records: int = 50_000) -> Iterator[Bar]:
    """The learnt ratio of one target against empirical Bayes of every model in turn, and what it holds."""
    phi, is_in = _answers(n_models + 2, n_records, 1)
    given = (phi[0, 0][:, None], phi[0, 2:, :, None], is_in[2:])

    def of_all() -> None:
        for target in range(2, len(is_in)):
            others = np.arange(len(is_in)) // 2 != target // 2
            empirical_bayes_online(phi[0, target], phi[0, others], is_in[others])

    ours, theirs = _in_turn([lambda: learnt_ratio(*given), of_all], rounds=1)
    yield Bar("learnt_ratio", 15, f"one target, {n_models} models, {n_records:,} records, {ours:.1f} s",
              f"empirical Bayes of every model in turn, {theirs:.1f} s", ours / theirs, 3, 1)  # fmt: skip
    tracemalloc.start()
    learnt_ratio(*given)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    answers = 8 * n_models * n_records
    yield Bar("learnt_ratio_memory", 15, f"peak {peak / 1e6:.0f} MB",
              f"all answers in double precision, {answers / 1e6:.0f} MB", peak / answers, None, 5)  # fmt: skip


# ---------------------------------------------------------------------------------------------- RMIA


def _pairwise(
    phi: np.ndarray, shadow_phi: np.ndarray, population_phi: np.ndarray, population_shadow_phi: np.ndarray
) -> np.ndarray:
    """The definition: every record's ratio against that of every point."""

    def confidence(logits: np.ndarray) -> np.ndarray:
        return np.asarray(1 / (1 + np.exp(-logits)))

    ratio = confidence(phi) / confidence(shadow_phi).mean(axis=0)
    of_points = confidence(population_phi) / confidence(population_shadow_phi).mean(axis=0)
    return np.array([np.mean(own / of_points > 1) for own in ratio])


def rmia(n_records: int = 50_000, n_points: int = 10_000, n_models: int = 4) -> Iterator[Bar]:
    """RMIA of 50,000 records and 10,000 points against all pairs, and what it holds."""
    rng = np.random.default_rng(0)
    phi, shadow_phi = rng.normal(size=n_records), rng.normal(size=(n_models, n_records))
    points, shadow_points = rng.normal(size=n_points), rng.normal(size=(n_models, n_points))
    part = n_records // 20
    slice_ = (phi[:part], shadow_phi[:, :part], points, shadow_points)
    np.testing.assert_allclose(rmia_online(*slice_), _pairwise(*slice_), atol=2 / n_points)
    pairwise = seconds(lambda: _pairwise(*slice_)) * n_records / part
    ours = seconds(lambda: rmia_online(phi, shadow_phi, points, shadow_points))
    yield Bar("rmia", ISSUE, f"{n_records:,} records x {n_points:,} points, {1e3 * ours:.0f} ms",
              f"all pairs, {pairwise:.1f} s (a 20th of the records, multiplied)", pairwise / ours, 50, 100,
              at_least=True)  # fmt: skip
    one, four = (_peak_of_rmia(phi, shadow_phi, points, shadow_points, times) for times in (1, 4))
    held = one / (8 * (n_records + n_points))
    yield Bar("rmia_memory", ISSUE, f"peak {one / 1e6:.1f} MB, {held:.1f} numbers per record and point",
              "all pairs in one bit each", one / (n_records * n_points / 8), 0.1, 0.05)  # fmt: skip
    yield Bar("rmia_memory_grows", ISSUE, f"peak of 4 times the records and points, {four / 1e6:.1f} MB",
              f"4 times that of the records and points, {4 * one / 1e6:.1f} MB", four / (4 * one), 1.05, 1)  # fmt: skip


def _peak_of_rmia(
    phi: np.ndarray, shadow_phi: np.ndarray, points: np.ndarray, shadow_points: np.ndarray, times: int
) -> int:
    """Most bytes that it holds at once beside what it is given, a number of times as much of that."""
    given = (np.tile(phi, times), np.tile(shadow_phi, times), np.tile(points, times), np.tile(shadow_points, times))
    tracemalloc.start()
    try:
        rmia_online(*given)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# -------------------------------------------------------------------------------------------- memory

# A process of its own, so that its peak is that of reading and scoring. A block is a piece of the mapped file; it is
# scored in slices that stay in the processor's cache, and every model's scores are reduced to their sum.
_OUT_OF_CORE = """
import sys
import numpy as np
from vestige.auditing.references.leave_one_out import leave_one_out

folder, size, in_rows = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "rows"
is_in = np.load(f"{folder}/is_in.npy")
n_models, n_records = is_in.shape


def block(first):
    if in_rows:
        return np.memmap(f"{folder}/phi", np.float32, "r", shape=is_in.shape)[:, first : first + size]
    shape = (n_models, min(size, n_records - first))
    return np.memmap(f"{folder}/phi", np.float32, "r", offset=4 * n_models * first, shape=shape)


def slices():
    for first in range(0, n_records, size):
        phi = block(first)
        for start in range(0, phi.shape[1], 256):
            yield phi[:, start : start + 256]
        del phi  # its pages are let go


def status(name):  # of this program alone: ru_maxrss begins with that of the process it was forked from
    with open("/proc/self/status") as lines:
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))


before, own, total = status("VmHWM"), status("RssAnon"), np.zeros(n_models)
most = own
for _, scores in leave_one_out(slices, is_in, np.arange(n_models) ^ 1):
    total += scores.sum(axis=1)
    most = max(most, status("RssAnon"))
print(status("VmHWM") - before, most - own)
"""


def out_of_core(n_models: int = 256, n_records: int = 1_000_000, size: int = 65_536) -> Iterator[Bar]:
    """Every model as the target over an array that is never in memory: 1 GB, in blocks of 67 MB.

    The file has block after block, as chunked stores do. With a row per model the process's own memory is the same, but
    the system may map 2 MB of file around every page that is touched, 256 times over: that is for information.
    """
    rng = np.random.default_rng(0)
    pool = rng.normal(size=n_records + 997 * n_models).astype(np.float32)
    block, result = 4 * n_models * size, 8 * n_models * 256
    for layout in ("blocks", "rows"):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            np.save(folder / "is_in.npy", complementary_pairs(n_models, n_records, seed=0))
            with open(folder / "phi", "wb") as file:
                for first in range(0, n_records, n_records if layout == "rows" else size):
                    length = n_records if layout == "rows" else min(size, n_records - first)
                    for model in range(n_models):
                        file.write(pool[997 * model + first :][:length].tobytes())
            begun = time.perf_counter()
            told = subprocess.run(
                [sys.executable, "-c", _OUT_OF_CORE, name, str(size), layout],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            elapsed = time.perf_counter() - begun
        grown, own = (int(number) - result for number in told.stdout.split())
        bar = layout == "blocks"
        yield Bar("out_of_core" if bar else "out_of_core_rows", ISSUE,
                  f"{n_models} targets, {n_records:,} records from a mapped file of "
                  f"{4 * n_models * n_records / 1e9:.2f} GB by {layout}, {elapsed:.0f} s, peak grows by "
                  f"{grown / 1e6:.0f} MB, own memory by {own / 1e6:.0f} MB, beside the scores of a slice",
                  f"a block of {size:,} records, {block / 1e6:.0f} MB", grown / block,
                  1.5 if bar else None, 1.2 if bar else None)  # fmt: skip


BENCHMARKS: dict[str, Callable[[], Iterator[Bar]]] = {
    "all_targets": all_targets,
    "learnt_ratio": learnt,
    "rmia": rmia,
    "out_of_core": out_of_core,
}
