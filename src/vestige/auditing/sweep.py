"""`sweep`: the same label-only attack with one setting after another, as a table."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from vestige.auditing.audit import audit
from vestige.auditing.label_only.probe import Probe
from vestige.auditing.plan import Adversary
from vestige.auditing.querying.settings import Querying
from vestige.core.errors import InputError
from vestige.core.options import Options
from vestige.core.progress import Progress


def sweep(
    target: Any,
    members: Any,
    nonmembers: Any,
    probes: Sequence[Probe],
    *,
    adversary: Adversary | None = None,
    querying: Querying | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Audit a model once for each probe, such as a distance of translations or a number of queries.

    An audit chooses the strength that is the best for the source model, and asks the target at that one alone; this
    table has each, at what it costs.

    Args:
        target: The model, as of `audit`.
        members: As of `audit`.
        nonmembers: As of `audit`.
        probes: What is asked, one after the other; the first attack of each is played.
        adversary: As of `audit`. Models that it trains are trained once and taken from the bank.
        querying: As of `audit`; its own probes are replaced.
        options: As of `audit`.
        progress: As of `audit`.

    Returns:
        The results of each attack on all records, as an audit has them, with the probe in a column `probe` in front.

    Raises:
        InputError: There is no probe; as `audit`.

    Example:
        >>> import numpy as np
        >>> from vestige import Records, silent
        >>> from vestige.auditing.label_only import NoisyCopies
        >>> rng = np.random.default_rng(0)
        >>> sides = [Records(rng.normal(size=(40, 3)), rng.integers(2, size=40)) for _ in range(2)]
        >>> def model(inputs):
        ...     return np.column_stack([inputs[:, 0] < 0, inputs[:, 0] >= 0]).astype(float)
        >>> found = sweep(model, *sides, [NoisyCopies(n) for n in (5, 20)], progress=silent)
        >>> found.query("metric == 'auc'")[["probe", "n_queries"]].to_numpy().tolist()
        [['NoisyCopies(n_draws=5)', 5], ['NoisyCopies(n_draws=20)', 20]]

    Source:
        Choquette-Choo et al. 2021, figure 2.
    """
    if not probes:
        raise InputError("Expected probes to go through, found none; such as [Translations((d,)) for d in (1, 2, 3)].")
    found = []
    for probe in probes:
        asking = replace(querying or Querying(), label_only=(probe,))
        result = audit(
            target, members, nonmembers, adversary=adversary, attacks=[probe.attacks[0]], querying=asking,
            options=options, progress=progress,
        )  # fmt: skip
        table = result.results.query("attack == @probe.attacks[0] and group == 'all'")
        found.append(table.assign(probe=_name_of(probe)))
    whole = pd.concat(found, ignore_index=True)
    return whole[["probe", *whole.columns.drop("probe")]]


def _name_of(probe: Probe) -> str:
    """Its class and what is not as usual."""
    usual = {name: getattr(type(probe), name, None) for name in vars(probe)}
    said = ", ".join(
        f"{name}={getattr(value, '__name__', value)}" for name, value in vars(probe).items() if value != usual[name]
    )
    return f"{type(probe).__name__}({said})"
