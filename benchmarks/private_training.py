"""Bar of DP-SGD: a step with clipped gradients and noise against a plain one."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from benchmarks.bar import Bar, seconds
from vestige.core.records import Records
from vestige.papers.choquette_choo import cifar_recipe
from vestige.training.dp_sgd import DPSGD

ISSUE = 16


def dp_step() -> Iterator[Bar]:
    """Choquette-Choo et al.'s CNN on 1,000 images of CIFAR-10's shape: 10 steps of 100, as they train privately."""
    rng = np.random.default_rng(0)
    records = Records(rng.integers(0, 256, (1_000, 32, 32, 3), dtype=np.uint8), np.arange(1_000) % 10)
    plain = replace(cifar_recipe(10), epochs=1, stop=None)
    private = replace(plain, defences=(DPSGD(2.0, noise=0.5),))
    one, other = (min(seconds(partial(r.fit, records, seed=0), 1) for _ in range(5)) for r in (plain, private))
    yield Bar("dp_step", ISSUE, f"10 steps of DP-SGD, {other:.1f} s", f"plain ones, {one:.1f} s", other / one, 3, 2.4)


BENCHMARKS = {"dp_step": dp_step}
