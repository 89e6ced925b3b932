"""Bars of the label-only boundary distance: records a second against two peers, and where the time goes.

Ours is given as many queries a record as foolbox asks in a number of steps that ART is given too. The peers' results
are measured as they return them.
"""

import itertools
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.bar import Bar
from vestige.core.errors import InputError
from vestige.data import load
from vestige.papers.networks.convolutional import smallnet
from vestige.signals.boundary import CHECKPOINTS, hop_skip_jump, settlement, surfree
from vestige.signals.boundary.directions import DirectionBank, shared_bank
from vestige.targets.objects.torch_module import TorchTarget

ISSUE = 6
_ROUNDS = 3


class Counted(nn.Module):
    """A module that is given float32 whatever it is asked, and knows how often and for how long it was."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module, self.n_rows, self.seconds = module, 0, 0.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        begun = time.perf_counter()
        found: torch.Tensor = self.module(x.float())
        self.seconds += time.perf_counter() - begun
        self.n_rows += len(x)
        return found


class LabelsOf:
    """A label target that counts nothing: what the peers have too."""

    def __init__(self, module: nn.Module, n_classes: int) -> None:
        self._target, self.n_classes = TorchTarget(module, n_classes), n_classes

    def labels(self, inputs: Any, records: np.ndarray) -> np.ndarray:
        del records
        return np.asarray(self._target.answers(inputs).whole().argmax(axis=1))


def _by_art(module: nn.Module, x: np.ndarray, n_classes: int, n_steps: int) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from art.attacks.evasion import HopSkipJump
        from art.estimators.classification import PyTorchClassifier
    classifier = PyTorchClassifier(module, nn.CrossEntropyLoss(), x.shape[1:], n_classes, clip_values=(0, 1))
    attack = HopSkipJump(classifier, batch_size=512, max_iter=n_steps, init_eval=100, verbose=False)
    return np.asarray(attack.generate(x))


def _by_foolbox(module: nn.Module, x: np.ndarray, n_classes: int, n_steps: int) -> np.ndarray:
    del n_classes
    import foolbox

    model = foolbox.PyTorchModel(module, bounds=(0, 1), device="cpu")
    attack = foolbox.attacks.HopSkipJumpAttack(steps=n_steps, initial_gradient_eval_steps=100)
    inputs = torch.from_numpy(x)
    with torch.no_grad():
        labels = module(inputs).argmax(1)
        _, found, _ = attack(model, inputs, labels, epsilons=None)
    return np.asarray(found.numpy())


def _lengths(moves: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm(moves.reshape(len(moves), -1).astype(np.float64), axis=1))


class Run:
    """What one way took: seconds and queries a record, its median distance, its share of time in the model."""

    def __init__(self, module: nn.Module, n_records: int, work: Callable[[nn.Module], np.ndarray]) -> None:
        counted = Counted(module).eval()
        begun = time.perf_counter()
        distances = work(counted)
        seconds = time.perf_counter() - begun
        self.seconds = seconds / n_records
        self.n_queries = counted.n_rows / n_records
        self.forward = counted.seconds / seconds
        self.distances = distances
        self.distance = float(np.median(distances))


def _runs(
    module: nn.Module, x: np.ndarray, n_classes: int, n_of: tuple[int, int], n_steps: int
) -> tuple[Run, Run, Run]:
    """Ours, foolbox's and ART's, in turn, the median round of each; fewer records of the peers, which take longer."""
    with torch.no_grad():
        y = module(torch.from_numpy(x)).argmax(1).numpy()

    def art(m: nn.Module) -> np.ndarray:
        return _lengths(_by_art(m, x[: n_of[1]], n_classes, n_steps) - x[: n_of[1]])

    def foolbox(m: nn.Module) -> np.ndarray:
        return _lengths(_by_foolbox(m, x[: n_of[0]], n_classes, n_steps) - x[: n_of[0]])

    def ours(m: nn.Module, n_queries: int) -> np.ndarray:
        target = LabelsOf(m, n_classes)
        return hop_skip_jump(target, x, y, np.arange(len(x)), (0, 1), n_queries=n_queries).distances

    first = Run(module, n_of[0], foolbox)
    n_queries = int(first.n_queries)
    shared_bank.cache_clear()  # drawing the directions is part of it
    rounds = []
    for _ in range(_ROUNDS):
        shared_bank.cache_clear()
        rounds.append(
            (
                Run(module, len(x), lambda m: ours(m, n_queries)),
                Run(module, n_of[0], foolbox),
                Run(module, n_of[1], art),
            )
        )
    ours_, foolbox_, art_ = (sorted(column, key=lambda run: run.seconds) for column in zip(*rounds, strict=True))
    return ours_[_ROUNDS // 2], foolbox_[_ROUNDS // 2], art_[_ROUNDS // 2]


def _in_words(run: Run) -> str:
    return (
        f"{1 / run.seconds:.1f} records/s, {run.n_queries:,.0f} queries, median distance {run.distance:.4f}, "
        f"{run.forward:.0%} in the model"
    )


def _shares(run: Run, d: int) -> str:
    """The shares of time of our run: the model, random numbers, and the rest, which is arithmetic and copies."""
    begun = time.perf_counter()
    bank = DirectionBank(d, 1, np.float32, orthogonal=True)
    once = time.perf_counter() - begun
    begun = time.perf_counter()
    for step in range(12):
        bank.draws(0, 1, np.arange(200), step)
    each = (time.perf_counter() - begun) / 200
    total = run.seconds * 200
    return f"model {run.forward:.0%}, random numbers {(once + 200 * each) / total:.0%} (of 200 records)"


def tabular(n_records: int = 200) -> Iterator[Bar]:
    """Choquette-Choo et al.'s network for Location30, on sparse binary records."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(446, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 30)).eval()
    x = (np.random.default_rng(0).random((n_records, 446)) < 0.1).astype(np.float32)
    ours, foolbox, art = _runs(module, x, 30, (n_records, 16), 10)
    what = f"446-128-128-30, {_in_words(ours)}; {_shares(ours, 446)}"
    yield Bar("boundary_table_art", ISSUE, what, f"ART, {_in_words(art)}", art.seconds / ours.seconds, 10, 12,
              at_least=True)  # fmt: skip
    yield Bar("boundary_table_foolbox", ISSUE, what, f"foolbox, {_in_words(foolbox)}", foolbox.seconds / ours.seconds,
              3, 4, at_least=True)  # fmt: skip
    yield _farther("boundary_table_distance", ours, foolbox, art)


def _farther(name: str, ours: Run, *peers: Run) -> Bar:
    """The median ratio of our distances to a peer's, of the records both were given, for the better peer."""
    ratios = [float(np.median(ours.distances[: len(peer.distances)] / peer.distances)) for peer in peers]
    return Bar(name, ISSUE, "our distances", "those of the better of two peers, record by record", max(ratios), 1, 0.95)


def _images(n_images: int) -> tuple[nn.Module, np.ndarray]:
    """Watson et al.'s network for CIFAR-10, trained for seconds on ten coarse patterns under noise, and images of its
    own.

    Untrained it would answer with one class whatever it is shown.
    """
    rng = np.random.default_rng(0)
    patterns = np.kron(rng.random((10, 3, 8, 8)), np.ones((1, 1, 4, 4)))
    labels = rng.integers(0, 10, 1_024)
    x = np.clip(0.5 * patterns[labels] + 0.5 * rng.random((1_024, 3, 32, 32)), 0, 1).astype(np.float32)
    module = smallnet()
    optimiser = torch.optim.Adam(module.parameters(), 3e-3)
    for step in range(100):
        rows = np.arange(64 * step, 64 * (step + 1)) % len(x)
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(module(torch.from_numpy(x[rows])), torch.from_numpy(labels[rows]))
        loss.backward()
        optimiser.step()
    module.eval()
    noise = torch.from_numpy(rng.random((64, 3, 32, 32), dtype=np.float32))
    with torch.no_grad():
        is_noise = np.isin(module(torch.from_numpy(x)).argmax(1).numpy(), module(noise).argmax(1).numpy())
    return module, x[~is_noise][:n_images]  # of others no peer finds a start


def images(n_records: int = 6) -> Iterator[Bar]:
    """Watson et al.'s network for CIFAR-10."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    module, x = _images(n_records)
    ours, foolbox, art = _runs(module, x, 10, (n_records // 2, 1), 6)
    what = f"Watson et al.'s CIFAR network, {_in_words(ours)}"
    yield Bar("boundary_images_forward", ISSUE, what, "the time in all", ours.forward, 0.85, 0.9, at_least=True)
    yield Bar("boundary_images_art", ISSUE, what, f"ART, {_in_words(art)}", art.seconds / ours.seconds, 1.3, 1.5,
              at_least=True)  # fmt: skip
    yield Bar("boundary_images_foolbox", ISSUE, what, f"foolbox, {_in_words(foolbox)}", foolbox.seconds / ours.seconds,
              None, None, at_least=True)  # fmt: skip
    yield _farther("boundary_images_distance", ours, foolbox, art)


# ----------------------------------------------------------------------------- fewer queries, same verdict


def _fitted(x: np.ndarray, y: np.ndarray, n_hidden: tuple[int, ...], seed: int) -> nn.Module:
    torch.manual_seed(seed)
    widths = (x.shape[1], *n_hidden, int(y.max()) + 1)
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    module = nn.Sequential(*layers[:-1])
    optimiser = torch.optim.Adam(module.parameters(), 1e-3)
    inputs, labels = torch.from_numpy(x), torch.from_numpy(y)
    for _ in range(60):
        for rows in torch.randperm(len(x)).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(module(inputs[rows]), labels[rows]).backward()
            optimiser.step()
    return module.eval()


def _accuracy(distances: np.ndarray, member: np.ndarray, threshold: float) -> float:
    called = distances > threshold
    return float((called[member].mean() + 1 - called[~member].mean()) / 2)


def _settled_bars(name: str, x: np.ndarray, y: np.ndarray, n: int, n_hidden: tuple[int, ...]) -> Iterator[Bar]:
    """Shadow and target of n records each; the threshold and the rule come from the shadow."""
    order, n_asked = np.random.default_rng(1).permutation(len(x)), 200
    parts = [order[i * n : (i + 1) * n] for i in range(4)]
    member = np.arange(2 * n_asked) < n_asked
    for estimator in (hop_skip_jump, surfree):
        options: dict[str, Any] = {"n_queries": 2_500, "budgets": CHECKPOINTS}
        found = []
        for seed, (inside, outside) in enumerate((parts[:2], parts[2:])):
            target = LabelsOf(_fitted(x[inside], y[inside], n_hidden, seed), int(y.max()) + 1)
            rows = np.concatenate([inside[:n_asked], outside[:n_asked]])
            ask = partial(estimator, target, x[rows], y[rows], np.arange(len(rows)), (0, 1), **options)
            found.append((ask, ask()))
        (ask, whole), (_, shadow) = found
        values = np.unique(shadow.distances)
        threshold = max((values[1:] + values[:-1]) / 2, key=lambda t: _accuracy(shadow.distances, member, t))
        early = ask(settled=settlement(shadow, float(threshold)))
        accuracies = [_accuracy(d.distances, member, float(threshold)) for d in (whole, early)]
        counts = [int(d.n_queries.sum()) // len(member) for d in (whole, early)]
        tag = f"{name}_{estimator.__name__}"
        what = f"{name}, {estimator.__name__}, records ended early"
        yield Bar(f"settled_{tag}_queries", ISSUE, f"{what}, {counts[1]:,} queries each", f"{counts[0]:,}",
                  counts[1] / counts[0], 0.5, 0.25)  # fmt: skip
        yield Bar(f"settled_{tag}_accuracy", ISSUE, f"{what}, balanced accuracy {accuracies[1]:.4f}",
                  f"{accuracies[0]:.4f}, at most 0.01 more", accuracies[1] - accuracies[0], -0.01, 0,
                  at_least=True)  # fmt: skip


def settled() -> Iterator[Bar]:
    """Ending records early against all 2,500 queries, on two data sets, where they are."""
    torch.set_num_threads(1)
    for name, n, n_hidden in (("location30", 1_200, (128, 128)), ("mnist", 500, (128,))):
        try:
            records = load(name)
        except InputError as error:
            print(f"left out: {error}")
            continue
        rows = np.random.default_rng(0).permutation(len(records.labels))[: 4 * n]
        x = np.asarray(records.inputs)[rows].reshape(len(rows), -1).astype(np.float32)
        yield from _settled_bars(name, x / max(1.0, float(x.max())), np.asarray(records.labels)[rows], n, n_hidden)


BENCHMARKS: dict[str, Callable[[], Iterator[Bar]]] = {
    "boundary_table": tabular,
    "boundary_images": images,
    "boundary_settled": settled,
}
