"""Does the learnt ratio of labels find members where nothing leaks?

From the root: `python -m tests.attacks.label_only_null_study`; writes `label_only_null.json` beside this file: five
minutes on one core. 8 shadow models, 200 records, 100 labels of each, with two kinds of records.
"""

import json
from pathlib import Path

import numpy as np
from scipy import special
from tests.attacks.learnt_ratio_null_study import designed, tested

from vestige.attacks.learnt_ratio import label_only_learnt_ratio
from vestige.signals.label_only.agreement import agreement

DRAWS, N_RECORDS, N_COPIES = 10_000, 200, 100


def agreements(kind: str, n_models: int, rng: np.random.Generator) -> np.ndarray:
    """Of labels that do not depend on training sets: rates of a record differ between models.

    Where answers are saturated, most records keep their class in all copies.
    """
    level = rng.normal(6 if kind == "saturated" else 0, 2, N_RECORDS)
    rates = special.expit(level + rng.normal(size=(n_models, N_RECORDS)))
    return agreement(rng.random((n_models, N_RECORDS, N_COPIES)) < rates[..., None])


def of_kind(kind: str) -> dict[str, object]:
    def scored(draw: int) -> tuple[np.ndarray, np.ndarray]:
        is_in, groups, member = designed("pairs", N_RECORDS, draw)
        signal = agreements(kind, len(is_in) + 1, np.random.default_rng([draw, 1]))
        return label_only_learnt_ratio(signal[0], signal[1:], is_in, groups=groups), member

    return {"answers": kind, **tested(DRAWS, scored)}


def main() -> None:
    found = [of_kind(kind) for kind in ("spread", "saturated")]
    (Path(__file__).parent / "label_only_null.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
