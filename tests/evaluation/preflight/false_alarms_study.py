"""How often are honest random splits flagged?

From the root: `python -m tests.evaluation.preflight.false_alarms_study`, some 30 minutes on one core. Writes
`false_alarms.json` beside this file, a row per setting, each as soon as it is done. `--scale 0.1` draws a tenth.
With `--tables`, tables of categories, of repeats and of text in turn, some 25 minutes more: `false_alarms_tables.json`,
written every 250 draws, from which an interrupted study goes on.
"""

import argparse
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import beta
from tests.evaluation.preflight.honest import TABLES, all_checks, honest_audit, honest_table

from vestige.core.result import Validity

RESULTS = Path(__file__).with_name("false_alarms.json")
RESULTS_OF_TABLES = Path(__file__).with_name("false_alarms_tables.json")
TABLE_RECORDS, TABLE_DRAWS, CHUNK = 120, 5_000, 250
DRAWS = [  # units, with subjects, draws
    (50, False, 4000),
    (500, False, 1500),
    (5000, False, 800),
    (50, True, 2000),
    (500, True, 1000),
    (5000, True, 600),
]


def upper_bound(flagged: int, draws: int) -> float:
    """Clopper and Pearson's one-sided 95 % upper bound."""
    return 1.0 if flagged == draws else float(beta.ppf(0.95, flagged + 1, draws - flagged))


def false_alarms(n_units: int, with_subjects: bool, draws: int, seed: int = 0) -> dict[str, Any]:
    """Count the draws in which each check, and any check, is below VALID."""
    per_check: Counter[str] = Counter()
    total = 0
    for draw in range(draws):
        rng = np.random.default_rng([seed, n_units, with_subjects, draw])
        checks = all_checks(honest_audit(n_units, with_subjects, rng), seed=draw)
        flags = {check.name: check.validity is not Validity.VALID for check in checks}
        per_check.update(flags)
        total += any(flags.values())
    return {
        "n": n_units,
        "unit": "subject" if with_subjects else "record",
        "draws": draws,
        "flagged": total,
        "rate": total / draws,
        "upper_95": round(upper_bound(total, draws), 5),
        "flagged_per_check": dict(sorted(per_check.items())),
    }


def false_alarms_of_tables(first: int, last: int, seed: int = 0) -> dict[str, Any]:
    """Count the same over draws `first` to `last` of honest tables, their kinds in turn."""
    per_check: Counter[str] = Counter()
    per_table: Counter[str] = Counter()
    for draw in range(first, last):
        kind = TABLES[draw % len(TABLES)]
        rng = np.random.default_rng([seed, TABLE_RECORDS, draw])
        checks = all_checks(honest_table(kind, TABLE_RECORDS, rng), seed=draw)
        flags = {check.name: check.validity is not Validity.VALID for check in checks}
        per_check.update(flags)
        per_table[kind] += any(flags.values())
    return _summary(last - first, per_check, per_table)


def _summary(draws: int, per_check: Mapping[str, int], per_table: Mapping[str, int]) -> dict[str, Any]:
    total = sum(per_table.values())
    return {
        "n": TABLE_RECORDS,
        "draws": draws,
        "flagged": total,
        "rate": total / draws,
        "upper_95": round(upper_bound(total, draws), 5),
        "flagged_per_check": dict(sorted(per_check.items())),
        "flagged_per_table": dict(sorted(per_table.items())),
    }


def study_tables() -> None:
    """Draw what is missing, and write after every chunk."""
    done = json.loads(RESULTS_OF_TABLES.read_text(encoding="utf-8")) if RESULTS_OF_TABLES.exists() else None
    while done is None or done["draws"] < TABLE_DRAWS:
        first = 0 if done is None else done["draws"]
        more = false_alarms_of_tables(first, first + CHUNK)
        if done is not None:
            counts = ("flagged_per_check", "flagged_per_table")
            more = _summary(first + CHUNK, *(Counter(done[name]) + Counter(more[name]) for name in counts))
        done = more
        print(json.dumps(done), flush=True)
        RESULTS_OF_TABLES.write_text(json.dumps(done, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--tables", action="store_true")
    if parser.parse_args().tables:
        study_tables()
        return
    scale = parser.parse_args().scale
    rows: list[dict[str, Any]] = []
    for n_units, with_subjects, draws in DRAWS:
        rows.append(false_alarms(n_units, with_subjects, max(1, round(scale * draws))))
        print(json.dumps(rows[-1]), flush=True)
        RESULTS.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
