"""Bars of DP-SGD: a step with clipped gradients and noise against a plain one, and against an installed peer's."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch.nn import functional

from benchmarks.bar import Bar, seconds
from vestige.core.records import Records
from vestige.papers.choquette_choo import KerasAdam, cifar_recipe
from vestige.training.dp_sgd import DPSGD
from vestige.training.torch_recipe import TorchRecipe

ISSUE = 16


def _settings() -> tuple[Records, TorchRecipe, TorchRecipe]:
    """Choquette-Choo et al.'s CNN on 1,000 images of CIFAR-10's shape: 10 steps of 100, plain and private ones."""
    rng = np.random.default_rng(0)
    records = Records(rng.integers(0, 256, (1_000, 32, 32, 3), dtype=np.uint8), np.arange(1_000) % 10)
    plain = replace(cifar_recipe(10), epochs=1, stop=None)
    return records, plain, replace(plain, defences=(DPSGD(2.0, noise=0.5),))


def dp_step() -> Iterator[Bar]:
    """A private step against a plain one."""
    records, plain, private = _settings()
    one, other = (min(seconds(partial(r.fit, records, seed=0), 1) for _ in range(5)) for r in (plain, private))
    yield Bar("dp_step", ISSUE, f"10 steps of DP-SGD, {other:.1f} s", f"plain ones, {one:.1f} s", other / one, 3, 2.4)


def dp_step_peer() -> Iterator[Bar]:
    """A private step against Opacus' (extra `bench`), whose batches have 100 images each."""
    from opacus import GradSampleModule
    from opacus.optimizers import DPOptimizer

    records, plain, private = _settings()
    images, labels = torch.tensor(records.inputs), torch.tensor(records.labels)

    def theirs_() -> None:
        network = GradSampleModule(plain.network())
        step = DPOptimizer(
            KerasAdam(network.parameters()), noise_multiplier=0.5, max_grad_norm=2.0, expected_batch_size=100
        )
        for rows in torch.split(torch.randperm(1_000), 100):
            step.zero_grad()
            loss = functional.cross_entropy(network(plain.preprocess(images[rows]).contiguous()), labels[rows])
            loss.backward()
            step.step()

    rounds = [(seconds(partial(private.fit, records, seed=0), 1), seconds(theirs_, 1)) for _ in range(3)]
    ours, theirs = map(min, zip(*rounds, strict=True))
    yield Bar(
        "dp_step_peer", ISSUE, f"10 steps of DP-SGD, {ours:.1f} s", f"Opacus', {theirs:.1f} s", theirs / ours, None,
        None, at_least=True,
    )  # fmt: skip


BENCHMARKS = {"dp_step": dp_step, "dp_step_peer": dp_step_peer}
