"""Bars of training many models: stacks against a plain loop, the probe's choice, a peer, and memory."""

import functools
import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.bar import Bar
from vestige.core.records import Records
from vestige.data.sets.designs import complementary_pairs
from vestige.training.executors.in_process import InProcess, n_cpus
from vestige.training.executors.processes import Processes
from vestige.training.strategies import Strategy, groups_of, has_bfloat16, measure_torch, train_group
from vestige.training.torch_recipe import TorchRecipe

ISSUE = 3
_REPEATS = 5
_MODELS = 32


def tanh_network(*widths: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def binary_records(n_records: int, n_features: int, n_classes: int) -> Records:
    rng = np.random.default_rng(0)
    prototypes = rng.random((n_classes, n_features)) < 0.1
    labels = np.arange(n_records) % n_classes
    flipped = prototypes[labels] ^ (rng.random((n_records, n_features)) < 0.05)
    return Records(flipped.astype(np.float32), labels)


def plain_loop(network: Callable[[], nn.Module], records: Records, member: np.ndarray, epochs: int, size: int) -> None:
    """What one would write: a model after another, torch's own defaults."""
    inputs, labels = torch.from_numpy(records.inputs), torch.from_numpy(records.labels)
    for row in member:
        x, y = inputs[torch.from_numpy(row)], labels[torch.from_numpy(row)]
        model = network()
        optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
        for _ in range(epochs):
            for rows in torch.randperm(len(x)).split(size):
                optimiser.zero_grad()
                nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
                optimiser.step()


def train_all(recipe: TorchRecipe, records: Records, member: np.ndarray, strategy: Strategy) -> None:
    """Train every model of a matrix with one strategy, workers' start and all."""
    executor = InProcess() if strategy.n_processes == 1 else Processes(strategy.n_processes, strategy.threads)
    groups = groups_of(recipe, member, strategy, strategy.n_processes)
    for outcome in executor.run(_train_group, (recipe, records, member, strategy), groups):
        assert not outcome.error, outcome.error


def _train_group(shared: Any, group: list[int]) -> int:
    recipe, records, member, strategy = shared
    return sum(
        not isinstance(model, Exception) for model in train_group(recipe, records, member[group], group, strategy)
    )


def _median_seconds(works: list[Callable[[], object]], repeats: int = _REPEATS) -> list[float]:
    """Median wall time of each, taken in turn so that a slow minute of the machine meets all of them."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(repeats):
        for times, work in zip(taken, works, strict=True):
            begun = time.perf_counter()
            work()
            times.append(time.perf_counter() - begun)
    return [statistics.median(times) for times in taken]


def _stacked(
    name: str, widths: tuple[int, ...], n_records: int, epochs: int, bar: float, goal: float, stack: int
) -> Iterator[Bar]:
    records = binary_records(n_records, widths[0], widths[-1])
    member = complementary_pairs(_MODELS, n_records, seed=0)
    network = functools.partial(tanh_network, *widths)
    recipe = TorchRecipe(network, epochs=epochs, batch_size=100)
    cpus = n_cpus()
    chosen = measure_torch(recipe, records, member, Processes)[0].strategy
    apart = Strategy(n_processes=cpus, threads=1, stack=stack)
    here = Strategy(threads=cpus, stack=stack)
    ways = list(dict.fromkeys([apart, here, chosen]))
    works: list[Callable[[], object]] = [functools.partial(train_all, recipe, records, member, way) for way in ways]
    # A plain loop takes as long for every model: an eighth of them is timed.
    loop = functools.partial(plain_loop, network, records, member[: _MODELS // 8], epochs, 100)
    eighth, *times = _median_seconds([loop, *works])
    plain, took = 8 * eighth, dict(zip(ways, times, strict=True))
    way = min(took, key=lambda w: took[w])
    shape = "-".join(map(str, widths))
    against = f"a plain PyTorch loop over the same models, {plain:.1f} s"
    yield Bar(f"{name}_one_process", ISSUE, f"{_MODELS} models {shape} in {here}, {took[here]:.1f} s", against,
              plain / took[here], None, None, at_least=True)  # fmt: skip
    yield Bar(f"{name}_stacked", ISSUE, f"{_MODELS} models {shape} in {way}, {took[way]:.1f} s", against,
              plain / took[way], bar, goal, at_least=True)  # fmt: skip
    fastest = min(took[way], plain)
    yield Bar(f"{name}_choice", ISSUE, f"the probe's choice, {chosen}, {took[chosen]:.1f} s",
              f"the fastest of {len(ways) + 1} ways, {fastest:.1f} s", fastest / took[chosen], 0.8, 0.9,
              at_least=True)  # fmt: skip


def location() -> Iterator[Bar]:
    """Choquette-Choo et al.'s network for Location30, on half of 5,010 records."""
    yield from _stacked("location", (446, 128, 128, 30), 5010, 40, 2.5, 4, 16)


def adult() -> Iterator[Bar]:
    """Choquette-Choo et al.'s network for Adult, on 5,000 of 10,000 records."""
    yield from _stacked("adult", (104, 128, 128, 2), 10_000, 12, 2.5, 4, 16)


def purchase() -> Iterator[Bar]:
    """Choquette-Choo et al.'s network for Purchase100, on 5,000 of 10,000 records."""
    yield from _stacked("purchase", (600, 128, 100), 10_000, 7, 2, 2.6, 16)


def wide_location() -> Iterator[Bar]:
    """Song & Mittal's network for Location30: bound by the optimiser's memory traffic."""
    yield from _stacked("wide_location", (446, 1024, 512, 256, 128, 30), 5010, 1, 1.25, 1.5, 8)


def peer() -> Iterator[Bar]:
    """16 shadow models of the Location network against the installed peer's own shadow models."""
    from art.attacks.inference.membership_inference import ShadowModels
    from art.estimators.classification import PyTorchClassifier

    records = binary_records(5010, 446, 30)
    epochs = 10
    network = functools.partial(tanh_network, 446, 128, 128, 30)
    recipe = TorchRecipe(network, epochs=epochs, batch_size=100)
    member = complementary_pairs(16, 5010, seed=0)
    one_hot = np.eye(30, dtype=np.float32)[records.labels]

    def theirs() -> None:
        model = network()
        classifier = PyTorchClassifier(
            model, nn.CrossEntropyLoss(), (446,), 30, optimizer=torch.optim.Adam(model.parameters(), lr=1e-3)
        )
        # It trains with its own defaults for the number of epochs unless its fit is told otherwise.
        classifier.fit = functools.partial(classifier.fit, nb_epochs=epochs, batch_size=100)
        shadows = ShadowModels(classifier, num_shadow_models=16)
        shadows._shadow_models = [classifier.clone_for_refitting() for _ in range(16)]
        for shadow in shadows._shadow_models:
            shadow.fit = functools.partial(shadow.fit, nb_epochs=epochs, batch_size=100)
        shadows.generate_shadow_dataset(records.inputs, one_hot, member_ratio=0.5)

    chosen = measure_torch(recipe, records, member, Processes)[0].strategy
    ours, peers = _median_seconds([functools.partial(train_all, recipe, records, member, chosen), theirs])
    yield Bar("location_against_art", ISSUE, f"16 models in {chosen}, {ours:.1f} s",
              f"adversarial-robustness-toolbox ShadowModels, {peers:.1f} s", peers / ours, 2.5, 4,
              at_least=True)  # fmt: skip


_MEMORY = """
import resource, sys, tempfile
from pathlib import Path
import numpy as np
from benchmarks.shadow_models import binary_records, tanh_network
import functools
from vestige.auditing.shadows.plan import ShadowPlan
from vestige.auditing.shadows.training import train_shadows
from vestige.data.sets.designs import complementary_pairs
from vestige.training.bank import Bank
from vestige.training.strategies import Strategy, groups_of
from vestige.training.torch_recipe import TorchRecipe

n_models = int(sys.argv[1])
records = binary_records(5010, 446, 30)
member = complementary_pairs(n_models, 5010, seed=0)
recipe = TorchRecipe(functools.partial(tanh_network, 446, 128, 128, 30), epochs=1, batch_size=100)
strategy = Strategy(threads=2, stack=8)
plan = ShadowPlan(recipe, records, member, 0, strategy, groups_of(recipe, member, strategy), n_models)
with tempfile.TemporaryDirectory() as folder:
    shadows = train_shadows(plan, Path(folder) / "run", Bank(Path(folder) / "bank"))
    assert shadows.done.all()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def memory() -> Iterator[Bar]:
    """Peak memory of training, storing and observing 64 models against 8, each in a process of its own."""
    few, many = (
        min(
            int(
                subprocess.run(
                    [sys.executable, "-c", _MEMORY, str(n)], capture_output=True, text=True, check=True
                ).stdout
            )
            for _ in range(3)
        )
        for n in (8, 64)
    )
    yield Bar("memory_of_64_models", ISSUE, f"peak with 64 models, {many / 1e6:.2f} GB",
              f"with 8, {few / 1e6:.2f} GB", many / few, 1.10, 1.05)  # fmt: skip


def convolutional() -> Iterator[Bar]:
    """Choquette-Choo et al.'s CIFAR network in bfloat16 and channels-last against the float32 loop, where the processor
    has units."""
    if not has_bfloat16():
        print("cifar_bfloat16: not measured, this processor has no bfloat16 units")
        return
    from vestige.papers.networks.convolutional import four_convolutions

    rng = np.random.default_rng(0)
    records = Records(rng.integers(0, 256, (5000, 32, 32, 3), dtype=np.uint8), rng.integers(0, 10, 5000))
    member = complementary_pairs(2, 5000, seed=0)
    recipe = TorchRecipe(four_convolutions, epochs=2, batch_size=100, bfloat16=True)
    slow, fast = (Strategy(threads=n_cpus(), bfloat16=low) for low in (False, True))
    plain, ours = _median_seconds([functools.partial(train_all, recipe, records, member, s) for s in (slow, fast)])
    what = f"Choquette-Choo et al.'s CNN in bfloat16, {ours:.1f} s"
    yield Bar("cifar_bfloat16", ISSUE, what, f"in float32, {plain:.1f} s", plain / ours, 3, 3, at_least=True)


BENCHMARKS: dict[str, Callable[[], Iterator[Bar]]] = {
    "location": location,
    "adult": adult,
    "purchase": purchase,
    "wide_location": wide_location,
    "peer": peer,
    "memory": memory,
    "convolutional": convolutional,
}
