"""How often are honest random splits flagged?

From the root: `python -m tests.evaluation.preflight.false_alarms_study`, some 30 minutes on one core. Writes
`false_alarms.json` beside this file, a row per setting, each as soon as it is done. `--scale 0.1` draws a tenth.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import beta
from tests.evaluation.preflight.honest import all_checks, honest_audit

from vestige.core.result import Validity

RESULTS = Path(__file__).with_name("false_alarms.json")
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0)
    scale = parser.parse_args().scale
    rows: list[dict[str, Any]] = []
    for n_units, with_subjects, draws in DRAWS:
        rows.append(false_alarms(n_units, with_subjects, max(1, round(scale * draws))))
        print(json.dumps(rows[-1]), flush=True)
        RESULTS.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
