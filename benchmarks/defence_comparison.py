"""Bars of comparing defences: how long it takes, and whether the plan said so."""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from benchmarks.bar import Bar
from vestige import ShadowTraining
from vestige.auditing.comparison.compare import compare_defences
from vestige.auditing.comparison.cost import lines_of_cost
from vestige.core.answer_defence import AnswerDefence
from vestige.core.progress import silent
from vestige.core.recipe import Recipe
from vestige.core.seeds import stream
from vestige.data.sets.named import load
from vestige.defences import MemGuard
from vestige.papers.choquette_choo import location_network, location_recipe
from vestige.training.adversarial_regularisation import AdversarialRegularisation
from vestige.training.defences import L2

ISSUE = 16
_MINUTES = 15


def defence_comparison() -> Iterator[Bar]:
    """Choquette-Choo et al.'s network on 4,000 records of Location30, 8 models each; the others are the third pool."""
    records = load("location30")
    order = stream(0, "benchmark, comparison of defences").permutation(records.n_records)
    audited, pool = (records.take(np.sort(part)) for part in (order[:4_000], order[4_000:]))
    recipe = replace(location_recipe(), epochs=40, batch_size=64, stop=None)
    trained: dict[str, Recipe] = {
        "L2": replace(recipe, defences=(L2(0.002),)),
        "dropout": replace(recipe, network=partial(location_network, dropout=0.3)),
        "adversarial regularisation": AdversarialRegularisation(recipe, pool, strength=0.3),
    }
    with tempfile.TemporaryDirectory() as folder:
        training = ShadowTraining(recipe, n_models=8, bank=f"{folder}/bank")
        begun = time.perf_counter()
        defences: dict[str, Recipe | AnswerDefence] = {**trained, "MemGuard": MemGuard()}
        planned = lines_of_cost(audited, training, defences, 0)[-1]
        between = time.perf_counter()
        found = compare_defences(audited, training, defences, pool=pool, progress=silent)
        took = time.perf_counter() - between
    assert not found.failures, found.failures
    told = f"planned in {between - begun:.0f} s: {planned}"
    yield Bar(
        "defence_comparison", ISSUE, f"5 defences, 8 models each, {took:.0f} s, {told}", f"{_MINUTES} minutes",
        took / 60 / _MINUTES, 1, None,
    )  # fmt: skip


BENCHMARKS = {"defence_comparison": defence_comparison}
