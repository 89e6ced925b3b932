"""Why some records of Location30 are at risk: Song & Mittal's three looks at a network that remembers its records.

From the root: `python -m tests.experiments.risk_causes --keep FOLDER`, with the data in VESTIGE_DATA; some ten minutes
on two cores. Writes `results/defences/risk_causes.json`, of which `docs/defences.md` has a section.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tests.experiments.settings import location_recipe
from tests.experiments.study import circumstances

from vestige import ShadowTraining, audit, silent
from vestige.auditing.risk_causes.retraining import Retraining
from vestige.auditing.risk_causes.why import RiskCauses, why_at_risk
from vestige.core.seeds import stream
from vestige.data.sets.named import load
from vestige.evaluation.risk_causes import Correlation, pearson

STORED = Path(__file__).parents[2] / "results" / "defences" / "risk_causes.json"
N_SIDE, N_LEFT_OUT, SEEDS = 2_000, 120, (1, 2, 3, 4, 5)


def run(keep: Path) -> None:
    records, recipe = load("location30"), location_recipe()
    order = stream(0, "experiment, causes of risk on location30").permutation(records.n_records)
    members, nonmembers = (records.take(np.sort(rows)) for rows in np.split(order[: 2 * N_SIDE], 2))
    begun, found = time.perf_counter(), list[RiskCauses]()
    for seed in SEEDS:
        model = recipe.fit(members, seed=seed).classifier
        training = ShadowTraining(recipe, n_models=8, bank=keep / "bank")
        result = audit(
            model, members, nonmembers, adversary=training, attacks=["modified_entropy", "correctness"], progress=silent
        )
        more: dict[str, Any] = {}
        if seed == SEEDS[0]:
            retraining = Retraining(recipe, seed=seed, n_records=N_LEFT_OUT, bank=keep / "bank")
            more = {"model": model, "retraining": retraining}
        found.append(why_at_risk(result, members, nonmembers, progress=silent, **more))
        print(f"{time.perf_counter() - begun:.0f} s: {found[-1]}", flush=True)
    found[0].save(keep / "why")
    table = found[0].sensitivity
    plane = found[0].plane
    assert table is not None
    assert plane is not None
    assert found[0].sensitivity_correlation is not None
    of_means = pd.concat([one.classes for one in found]).groupby("class", observed=True).mean()
    ranked = table.sort_values("risk", kind="stable")
    stored = {
        "words": f"446-128-128-30 with tanh, Adam 1e-3, batches of 64, 40 epochs, trained on {N_SIDE:,} records; "
        f"{N_SIDE:,} others; risk by one shadow model trained alike",
        "pearson": [_numbers(one.classes_correlation) for one in found],
        "pearson_of_means": _numbers(pearson(of_means.generalisation_error.to_numpy(), of_means.mean_risk.to_numpy())),
        "sensitivity": _numbers(found[0].sensitivity_correlation),
        "quartiles": table.sensitivity.quantile([0.25, 0.5, 0.75]).round(3).tolist(),
        "by_third": [
            {name: round(float(ranked[name].iloc[rows].mean()), 3) for name in ("risk", "sensitivity")}
            for rows in np.array_split(np.arange(len(ranked)), 3)
        ],
        "own_class": _of_own_class(plane),
        "seconds": round(time.perf_counter() - begun),
    } | circumstances()
    STORED.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


def _numbers(found: Correlation) -> dict[str, float]:
    return {
        "value": round(found.value, 4),
        "lower": round(found.interval.lower, 4),
        "upper": round(found.interval.upper, 4),
        "n": found.n,
    }


def _of_own_class(plane: pd.DataFrame) -> dict[str, float]:
    """The share of test records of either end whose nearest training record in the picture is of their own class."""
    training, test = plane[plane.member], plane[~plane.member]
    distances = (training.x.to_numpy() - test.x.to_numpy()[:, None]) ** 2
    distances += (training.y.to_numpy() - test.y.to_numpy()[:, None]) ** 2
    right = training["class"].to_numpy()[distances.argmin(axis=1)] == test["class"].to_numpy()
    return {str(at): round(float(right[test["at"] == at].mean()), 3) for at in ("lowest", "highest")}


def section() -> str:
    """The section of the page of defences."""
    found = json.loads(STORED.read_text(encoding="utf-8"))

    def shown(one: dict[str, float]) -> str:
        return f"{one['value']:.2f} [{one['lower']:.2f}, {one['upper']:.2f}]"

    first, *others = found["pearson"]
    again = ", ".join(f"{one['value']:.2f}" for one in others)
    n, left_out, ends = first["n"], found["sensitivity"], found["own_class"]
    thirds, risks = (
        " / ".join(f"{third[name]:{digits}}" for third in found["by_third"])
        for name, digits in (("sensitivity", ".1f"), ("risk", ".2f"))
    )
    quartiles = " / ".join(f"{value:.1f}" for value in found["quartiles"])
    lines = [
        "## Why some records are at risk",
        "",
        "Song & Mittal (2021, section 4.2.4) look for what goes with the privacy risk score, on Texas100. Here it is",
        "Location30, whose classes have some sixty training records and as many test records.",
        "",
        "```python",
        "from vestige.auditing.risk_causes.retraining import Retraining",
        "from vestige.auditing.risk_causes.why import why_at_risk",
        "",
        "retraining = Retraining(recipe, seed=0)  # the seed of the audited model; 200 trainings",
        "why = why_at_risk(result, members, nonmembers, model=network, retraining=retraining)",
        'why.save("why")  # why.html and tables, readable by you alone',
        "```",
        "",
        f"{found['words']}. {left_out['n']} records were left out, each from a training of its own with the seed and",
        "the batches of the audited model. Intervals are 95 %, over classes or records. Measured by",
        "`python -m tests.experiments.risk_causes --keep FOLDER`.",
        "",
        "| what | published | measured |",
        "| --- | --- | --- |",
        "| Pearson correlation of a class's generalisation error and its members' mean risk | .94 over 100 classes | "
        f"{shown(first)} over {n}; four more models {again}; means of all five {shown(found['pearson_of_means'])} |",
        "| sensitivity to a record and its risk | rises with risk (figure 7, no number) | rank correlation "
        f"{shown(left_out)}; mean of thirds {thirds} nats at risk {risks} |",
        f"| sensitivity, quartiles | figure 7 alone | {quartiles} nats |",
        "| test records nearest to a training record of their own class, by t-SNE of the last hidden layer | those of "
        "classes least at risk lie there, those of classes most at risk do not (figure 9, no number) | "
        f"{ends['lowest']:.0%} of the five classes least at risk, {ends['highest']:.0%} of the five most |",
        "",
        "Sensitivity is the logarithm of modified entropy without the record over that with it. Its fraction cannot be",
        "read in our copy of the paper; this is our reading. Both are clamped at 1e-10. With sixty test records the",
        "accuracy of a class is known to .06 or so, which makes the first correlation seem smaller; the published .94",
        "lies above its interval all the same.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.experiments.risk_causes", description=__doc__)
    parser.add_argument("--keep", type=Path, required=True, help="where models are kept")
    run(parser.parse_args().keep)
