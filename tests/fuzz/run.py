"""Run the fuzz and store what came of it beside this file, format by format: `python -m tests.fuzz.run PART N [FORMAT...]`.

PART is `reading` (readers in this process), `audits` (whole audits by the command line) or `models` (stored models,
opened and asked).
"""

import json
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results.json")


def main(part: str, n: int, names: list[str]) -> int:
    """Run one part and return how many faults there were."""
    n_faults = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, run in _parts(part, n, Path(folder) / "fuzzed"):
            if names and name not in names:
                continue
            outcome = run()
            n_faults += len(outcome.faults)
            _store(part, name, outcome.as_json())
            print(
                f"{name}: {outcome.n_read} of {outcome.n} read, {outcome.seconds:.0f} s, {outcome.faults[:5]}",
                flush=True,
            )
    return n_faults


def _parts(part: str, n: int, folder: Path) -> Iterable[tuple[str, Callable[[], Any]]]:
    from tests.fuzz.formats import FORMATS

    if part == "reading":
        from tests.fuzz.reading import read_mutants

        return [(f.name, lambda f=f: read_mutants(f, n, folder)) for f in FORMATS]
    if part == "audits":
        from tests.fuzz.audits import AUDITED, audit_mutants, import_everything

        import_everything()
        return [(f.name, lambda f=f: audit_mutants(f, n, folder)) for f in AUDITED]
    from tests.fuzz.models import MODELS, ask_mutants, import_libraries

    import_libraries()
    return [(m.name, lambda m=m: ask_mutants(m, n, folder)) for m in MODELS]


def _store(part: str, name: str, outcome: dict[str, Any]) -> None:
    there = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    there.setdefault(part, {})[name] = outcome
    RESULTS.write_text(json.dumps(there, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])))
