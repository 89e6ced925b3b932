"""Defences of a network on Location30 compared: what an attacker who adapts still finds, and the accuracy that is left.

From the root: `python -m tests.experiments.defences --keep FOLDER`, with the data in VESTIGE_DATA; half an hour on
two busy cores, two thirds of it for SELENA. Writes `results/defences/location30.csv` and `.json`; `docs/defences.md` is
written from them by `--page`.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tests.defences import memguard_study
from tests.experiments import regularised
from tests.experiments.risk_causes import section
from tests.experiments.settings import location_recipe
from tests.experiments.study import circumstances

from vestige import ShadowTraining, silent
from vestige.auditing.comparison.compare import compare_defences
from vestige.core.answer_defence import AnswerDefence
from vestige.core.recipe import Recipe
from vestige.core.seeds import stream
from vestige.data.sets.named import load
from vestige.defences import LabelsOnly, MemGuard, StrongestMemGuard, TopK
from vestige.training.defences import L2, ConfidencePenalty, LabelSmoothing
from vestige.training.selena import Selena

ROOT = Path(__file__).parents[2]
STORED, PAGE = ROOT / "results" / "defences", ROOT / "docs" / "defences.md"
N_AUDITED, N_MODELS = 4_000, 16
"""Of 5,010 records; the others are the third pool."""

INTERVALS = (
    "`comparison.csv` has two intervals of every number, and of its difference to no defence. *Over trainings*",
    "(`lower`, `upper`): Student's, over pairs of models, whose training sets complement each other; it says what",
    "other training sets and seeds would show of the same records. *Over records* (`records_lower`,",
    "`records_upper`): normal, from how far each record moves the mean over all models (for areas DeLong's",
    "variance; for rates at a false-positive rate a nonmember moves the threshold, by the slope of the curve),",
    "summed over the records of a person where there are people; it says what the same models would show of other",
    "records. Differences are paired in both: the same training sets, and the same records, before and after.",
    "",
    "A record's *risk* is the belief of the empirical-Bayes attack that it was a member where it was, less the",
    "same belief where it was not. Whose risk rises by 0.1 or more is asked of both halves of the models: records",
    "of which one half says so and the other the opposite are subtracted, for noise makes as many of them as of",
    "false agreements.",
    "",
    "*Outliers* are 2 % of the records, by the features of the first undefended model, which judges none of them;",
    "they and, with `--canaries`, mislabelled records have rows of their own, at the threshold of all records.",
    "*Privacy risk scores* come from histograms of the next model under the same defence. *DP-SGD*: each defence",
    "is compared with the one among those given whose test accuracy is the most like its own.",
    "",
    "*Known half*: who knows half of a model's members and nonmembers learns from its defended answers about them",
    "(a network, a forest, thresholds of classes) and is judged on the other half. It knows no defence and needs no",
    "model of its own.",
    "",
    "Transfer is a network that begins with layers trained on other records, and may be private in its head alone:",
    "",
    "```python",
    'head = Pretrained(cnn, "source.safetensors", trainable=Trainable.LAST, records=source)  # `save_weights` wrote it',
    "transfer = replace(recipe, network=head)",
    "private = replace(transfer, defences=(DPSGD(1.0, epsilon=8.0),))",
    'compare_defences(images, ShadowTraining(recipe, n_models=16), {"transfer": transfer, "DP + transfer": private})',
    "```",
)


def run(keep: Path) -> None:
    records, recipe = load("location30"), location_recipe()
    order = stream(0, "experiment, defences on location30").permutation(records.n_records)
    audited, pool = (records.take(np.sort(part)) for part in (order[:N_AUDITED], order[N_AUDITED:]))
    defences: dict[str, Recipe | AnswerDefence] = {
        "L2 .0005": replace(recipe, defences=(L2(0.0005),)),
        "L2 .002": replace(recipe, defences=(L2(0.002),)),
        "label smoothing .3": replace(recipe, defences=(LabelSmoothing(0.3),)),
        "confidence penalty 1": replace(recipe, defences=(ConfidencePenalty(1.0),)),
        "top 3": TopK(3),
        "MemGuard": MemGuard(),
        "MemGuard, strongest form": StrongestMemGuard(),
        "labels only": LabelsOnly(),
        "SELENA": Selena(recipe),
    }
    begun = time.perf_counter()
    training = ShadowTraining(recipe, n_models=N_MODELS, bank=keep / "bank")
    found = compare_defences(audited, training, defences, pool=pool, run=keep / "defences", progress=silent)
    STORED.mkdir(parents=True, exist_ok=True)
    found.table.to_csv(STORED / "location30.csv", index=False)
    head = {
        "data": "location30",
        "words": f"446-128-128-30 with tanh, Adam 1e-3, batches of 64, 40 epochs; {N_MODELS} models per defence, each "
        f"on half of {N_AUDITED:,} records",
        "sentences": found.sentences,
        "failures": dict(found.failures),
        "seconds": round(time.perf_counter() - begun),
    } | circumstances()
    (STORED / "location30.json").write_text(json.dumps(head, indent=1) + "\n", encoding="utf-8")


def page() -> str:
    head = json.loads((STORED / "location30.json").read_text(encoding="utf-8"))
    table = pd.read_csv(STORED / "location30.csv")
    lines = [
        "# Defences compared",
        "",
        "What `vestige compare-defences` says of a network on Location30. Every number is a mean over models, each in",
        "turn the target; 95 % intervals are over pairs of models. An adaptive adversary trains models under the same",
        "defence; an unaware one knows none. Strengths were not tuned. `python -m tests.experiments.defences --page`",
        "writes this page.",
        "",
        *INTERVALS,
        "",
        f"{head['words']}. {head['seconds']} s in all.",
        "",
        *(f"- {sentence}" for sentence in head["sentences"]),
        *(f"- {name}: {why}" for name, why in head["failures"].items()),
        "",
        "| defence | adversary | attack | TPR at 1 % FPR | less than none | test accuracy |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    row: Any
    for row in table[table.metric == "tpr_at_fpr_0.01"].itertuples():
        change = (
            ""
            if row.defence == "none"
            else f"{row.difference:+.3f} [{row.difference_lower:+.3f}, {row.difference_upper:+.3f}]"
        )
        lines.append(
            f"| {row.defence} | {row.adversary} | {row.attack} | {row.value:.3f} [{row.lower:.3f}, {row.upper:.3f}] | "
            f"{change} | {row.test_accuracy:.3f} |"
        )
    worst: Any = table[table.metric.str.startswith("tpr_at_fpr_0.01, ") & ~table.metric.str.contains("less than")]
    lines += ["", "| defence | adversary | attack | of | TPR at 1 % FPR |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {row.defence} | {row.adversary} | {row.attack} | {row.metric.split(', ', 1)[1]} | {row.value:.3f} "
        f"[{row.lower:.3f}, {row.upper:.3f}] |"
        for row in worst.itertuples()
    ]
    return "\n".join([*lines, "", section(), "", *memguard_study.section(), "", *regularised.lines()]) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.experiments.defences", description=__doc__)
    parser.add_argument("--keep", type=Path, help="where models are kept")
    parser.add_argument("--page", action="store_true", help="write the page of what is stored")
    asked = parser.parse_args()
    if not asked.page:
        run(asked.keep)
    PAGE.write_text(page(), encoding="utf-8")
