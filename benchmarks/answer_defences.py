"""Bar of MemGuard: many answers at once against one at a time."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from benchmarks.bar import Bar, seconds
from vestige.core.outputs import Logits
from vestige.data import load
from vestige.data.sets.paper_designs import SongMittalData, song_mittal_memguard
from vestige.defences import MemGuard
from vestige.papers.song_mittal import location_memguard_recipe
from vestige.targets.opening import open_target

ISSUE = 16
_PART = 50  # of how many answers one is asked about alone


def memguard() -> Iterator[Bar]:
    """MemGuard for 2,000 answers of Song & Mittal's Location30 network, half of them about members."""
    records = load("location30")
    split = song_mittal_memguard(SongMittalData.LOCATION30, np.random.default_rng(0).permutation(records.n_records))
    model = replace(location_memguard_recipe(), full_batches=True).fit(records.take(split.members), seed=0)
    target = open_target(model.classifier, records.n_classes)
    members, defender, others = (
        target.answers(records.take(rows).inputs).whole() for rows in (split.members, split.defender, split.nonmembers)
    )
    guard = MemGuard().fitted(Logits(members), Logits(defender), 0)
    asked = np.concatenate([members, others])
    part = asked[::_PART]

    def one_at_a_time() -> np.ndarray:
        return np.concatenate([guard(Logits(row[None])).whole() for row in part])

    np.testing.assert_allclose(guard(Logits(asked)).whole()[::_PART], one_at_a_time(), rtol=0, atol=1e-12)
    at_once = seconds(lambda: guard(Logits(asked)))
    alone = seconds(one_at_a_time) * len(asked) / len(part)
    yield Bar("memguard", ISSUE, f"{len(asked):,} Location30 answers at once, {at_once:.1f} s",
              f"one at a time, {alone:.0f} s ({len(part)} of them, multiplied)", alone / at_once, 30, 40,
              at_least=True)  # fmt: skip


BENCHMARKS: dict[str, Callable[[], Iterator[Bar]]] = {"memguard": memguard}
