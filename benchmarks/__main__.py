"""Run every benchmark (or one), print its bar, and keep the results as data in `results.json`."""

import argparse
import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import (
    answer_defences,
    audit_from_files,
    boundary_distance,
    defence_comparison,
    private_training,
    querying,
    reference_attacks,
    report_pages,
    shadow_models,
    signals_store,
)
from benchmarks.bar import Bar

RESULTS = Path(__file__).with_name("results.json")
BENCHMARKS = {
    **audit_from_files.BENCHMARKS,
    **signals_store.BENCHMARKS,
    **shadow_models.BENCHMARKS,
    **querying.BENCHMARKS,
    **reference_attacks.BENCHMARKS,
    **boundary_distance.BENCHMARKS,
    **answer_defences.BENCHMARKS,
    **private_training.BENCHMARKS,
    **defence_comparison.BENCHMARKS,
    **report_pages.BENCHMARKS,
}


def machine() -> str:
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=sorted(BENCHMARKS), help="run this one")
    only = parser.parse_args().only
    kept = {bar["name"]: bar for bar in json.loads(RESULTS.read_text())} if RESULTS.exists() else {}
    missed = 0
    for name, benchmark in BENCHMARKS.items():
        if only in (None, name):
            for bar in benchmark():
                assert isinstance(bar, Bar)
                missed += not bar.holds
                print(bar)
                kept[bar.name] = bar.as_dict() | {
                    "machine": machine(),
                    "measured": datetime.now(UTC).date().isoformat(),
                }
    RESULTS.write_text(json.dumps(list(kept.values()), indent=1) + "\n")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
