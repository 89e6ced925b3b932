"""Bars of the pages of a run."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

import vestige
from benchmarks.bar import Bar, seconds
from vestige.auditing.finished import FinishedAudit
from vestige.auditing.runs.private import write_private
from vestige.core.outputs import Logits
from vestige.report import write_page

ISSUE = 18
N_RECORDS, N_ATTACKS, N_CLASSES = 50_000, 40, 10
LIMIT = 5.0  # seconds


def a_large_audit() -> FinishedAudit:
    """A small audit made large: its attacks under forty names, its records drawn again and again."""
    draw, n = np.random.default_rng(0), 4000
    labels, member = draw.integers(N_CLASSES, size=n), np.arange(n) % 2 == 0
    logits = draw.normal(size=(n, N_CLASSES)) + (1 + member)[:, None] * np.eye(N_CLASSES)[labels]
    groups = {"ward": draw.integers(8, size=n).astype(str)}
    small = vestige.audit(vestige.Predictions(Logits(logits), labels, member, groups=groups))
    copies = N_ATTACKS // len(small.rocs) + 1
    names = [(f"{roc.attack}_{i}", roc) for i in range(copies) for roc in small.rocs][:N_ATTACKS]
    of = dict(list(small.results.groupby("attack")))
    records = small.records.iloc[np.arange(N_RECORDS) % n].reset_index(drop=True).assign(id=np.arange(N_RECORDS))
    scores = {name: records[roc.attack] + 1e-3 * draw.normal(size=N_RECORDS) for name, roc in names}
    rows = [of[roc.attack].assign(attack=name) for name, roc in names]
    return replace(
        small,
        results=pd.concat([*rows, of["worst"], of["privacy_risk_score"]], ignore_index=True),
        records=pd.concat([records, pd.DataFrame(scores)], axis=1),
        rocs=tuple(replace(roc, attack=name) for name, roc in names),
        histograms=tuple(replace(small.histograms[0], attack=name) for name, _ in names),
        threat_models=tuple(replace(small.threat_models[0], attack=name) for name, _ in names),
    )


def both_pages() -> Iterator[Bar]:
    """The page for release and the private one of 50,000 records and 40 attacks."""
    audited = a_large_audit()
    with tempfile.TemporaryDirectory() as folder:
        write_page(audited, Path(folder))  # the renderer starts once, while an audit computes
        release, private = (
            seconds(lambda: write_page(audited, Path(folder))),
            seconds(lambda: write_private(audited, Path(folder))),
        )
        size = (Path(folder) / "private.html").stat().st_size / 1e6
    yield Bar(
        "both_pages", ISSUE, f"report.html {release:.2f} s, private.html {private:.2f} s, {size:.1f} MB", "5 s",
        (release + private) / LIMIT, 1, None,
    )  # fmt: skip


BENCHMARKS = {"both_pages": both_pages}
