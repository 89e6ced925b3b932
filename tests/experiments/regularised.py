"""Adversarial regularisation against early stopping at like test accuracy, on three data sets.

From the root: `python -m tests.experiments.regularised SET --keep FOLDER`, with the data in VESTIGE_DATA; some ten
minutes on one core each. Writes `results/defences/regularised-SET.csv` and `.json`; `python -m
tests.experiments.defences --page` writes the page of what is stored.
"""

import argparse
import functools
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tests.experiments.settings import location_recipe
from tests.experiments.study import circumstances
from torch import nn

from vestige import ShadowTraining, silent
from vestige.auditing.comparison.compare import compare_defences
from vestige.auditing.comparison.rates import RATE
from vestige.auditing.comparison.table import LESS_THAN
from vestige.core.records import Records
from vestige.core.seeds import stream
from vestige.data.sets.named import load
from vestige.papers.reproduction.verdicts import Verdict
from vestige.training.adversarial_regularisation import AdversarialRegularisation
from vestige.training.executors.in_process import InProcess
from vestige.training.torch_recipe import TorchRecipe

STORED = Path(__file__).parents[2] / "results" / "defences"
STRENGTHS = (0.03, 0.3, 3.0)
N_MODELS = 10


@dataclass(frozen=True)
class RegularisedSetting:
    """What is trained on one data set.

    Attributes:
        words: For a reader.
        n_audited: Records of the comparison, half of which are in each training set.
        n_reference: Other records, from which attackers learn nonmembers.
        recipe: Makes the recipe without a defence.
    """

    words: str
    n_audited: int
    n_reference: int
    recipe: Callable[[], TorchRecipe]

    def parts(self, data: str) -> tuple[Records, Records]:
        """Draw the audited records and the reference records."""
        records, ends = load(data), np.cumsum([self.n_audited, self.n_reference])
        order = stream(0, f"experiment, regularised on {data}").permutation(records.n_records)[: ends[-1]]
        first, second = (records.take(np.sort(part)) for part in np.split(order, ends[:1]))
        return first, second


def hidden_layer(n_inputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(n_inputs, 128), nn.ReLU(), nn.Linear(128, 10))


def images(n_inputs: int) -> RegularisedSetting:
    """A small network, so that a study takes minutes."""
    recipe = functools.partial(TorchRecipe, functools.partial(hidden_layer, n_inputs), epochs=40, batch_size=64)
    words = f"{n_inputs}-128-10 with ReLU, Adam 1e-3, batches of 64, 40 epochs"
    return RegularisedSetting(words, 2_000, 1_000, recipe)


SETTINGS = {
    "location30": RegularisedSetting(
        "446-128-128-30 with tanh (Choquette-Choo et al.), Adam 1e-3, batches of 64, 40 epochs",
        4_000, 1_010, location_recipe,
    ),
    "mnist": images(28 * 28),
    "cifar10-jpeg": images(32 * 32 * 3),
}  # fmt: skip


def run(data: str, keep: Path) -> None:
    setting = SETTINGS[data]
    audited, reference = setting.parts(data)
    recipe = setting.recipe()
    defences = {
        f"strength {strength:g}": AdversarialRegularisation(recipe, reference, strength=strength)
        for strength in STRENGTHS
    }
    begun, processor = time.perf_counter(), time.process_time()
    training = ShadowTraining(recipe, n_models=N_MODELS, bank=keep / "bank", executor=InProcess())
    folder = keep / f"regularised-{data}"
    found = compare_defences(audited, training, defences, run=folder, progress=silent)
    found.table.to_csv(STORED / f"regularised-{data}.csv", index=False)
    told = {
        "data": data,
        "words": f"{setting.words}; {N_MODELS} models per strength, each on half of {setting.n_audited:,} records, and "
        f"{setting.n_reference:,} reference records",
        "sentences": found.sentences,
        "failures": dict(found.failures),
        "beside": beside(found.table),
        "seconds": round(time.perf_counter() - begun),
        "processor_seconds": round(time.process_time() - processor),
    } | circumstances()
    (STORED / f"regularised-{data}.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


_GAIN = f"{RATE}{LESS_THAN}early stopping, epoch "


def beside(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Read what the comparison says of each strength and the first epoch that is at least as accurate.

    No epoch stands beside a strength where none is as accurate.
    """
    found = []
    for name in (n for n in table.defence.unique() if n.startswith("strength")):
        rows = table[table.defence == name]
        ours, accuracy, attack = _strongest(table, name)
        entry: dict[str, Any] = {"defence": name, "test_accuracy": round(accuracy, 4)}
        gain: Any
        for gain in rows[rows.metric.str.startswith(_GAIN)].itertuples():
            epoch = int(gain.metric.removeprefix(_GAIN))
            theirs, epoch_accuracy, other = _strongest(table, f"early stopping, epoch {epoch}")
            if epoch_accuracy >= accuracy:
                entry |= {"epoch": epoch, "epoch_accuracy": round(epoch_accuracy, 4), "attacks": [attack, other]}
                entry |= {"rates": [round(ours, 4), round(theirs, 4)], "gain": [gain.value, gain.lower, gain.upper]}
        found.append(entry)
    return found


def _strongest(table: pd.DataFrame, defence: str) -> tuple[float, float, str]:
    """Rate, test accuracy and name of the adaptive attack that finds the most members at 1 % false positives."""
    of_defence = table[(table.defence == defence) & (table.metric == RATE) & table.adversary.isin(["adaptive", "any"])]
    best: Any = of_defence.sort_values("value").iloc[-1]
    return float(best["value"]), float(best["test_accuracy"]), str(best["attack"])


def verdict_of(entry: Mapping[str, Any]) -> Verdict:
    """Say whether one strength is no better than the first epoch that is at least as accurate."""
    if "gain" not in entry:
        return Verdict.NOT_COMPARABLE
    _, lower, upper = entry["gain"]
    return Verdict.HOLDS if upper <= 0 else Verdict.CONTRADICTED if lower > 0 else Verdict.UNDECIDED


def verdict(entries: Sequence[Mapping[str, Any]]) -> Verdict:
    """Say whether no strength is better than early stopping: of all strengths that can be compared, the worst."""
    found = set(map(verdict_of, entries))
    order = (Verdict.CONTRADICTED, Verdict.UNDECIDED, Verdict.HOLDS, Verdict.NOT_COMPARABLE)
    return next(one for one in order if one in found)


def stored() -> dict[str, tuple[dict[str, Any], pd.DataFrame]]:
    """Read what is stored: head and table by data set."""
    heads = {data: STORED / f"regularised-{data}.json" for data in SETTINGS}
    return {
        data: (json.loads(path.read_text(encoding="utf-8")), pd.read_csv(path.with_suffix(".csv")))
        for data, path in heads.items()
        if path.exists()
    }


def lines() -> Iterator[str]:
    """Write the part of the page."""
    yield from (
        "",
        "# Adversarial regularisation against early stopping",
        "",
        "Song & Mittal 2021 find that adversarial regularisation (Nasr et al. 2018) protects no better than early",
        "stopping at equal test accuracy. Here each strength stands beside the undefended models at the first of 12",
        "epochs that is at least as accurate; the adversary adapts to both, and takes the attack that finds the most.",
        "The claim holds where the whole interval of every strength is on the side of early stopping, and is",
        "contradicted where that of one is on the other. Intervals are over pairs of models, not corrected for the",
        "number of strengths. `python -m tests.experiments.regularised` trains the models.",
    )
    for data, (head, table) in stored().items():
        yield from ("", f"## {data}: the claim {_words(verdict(head['beside']))}", "", f"{head['words']}.", "")
        yield from map(_line, head["beside"])
        yield from (f"- {name}: {why}" for name, why in head["failures"].items())
        yield from (
            "",
            "| defence | attack | TPR at 1 % FPR | AUC | training, test accuracy |",
            "| --- | --- | --- | --- | --- |",
        )
        rates = table[table.adversary.isin(["adaptive", "any"]) & ~table.metric.str.contains(",")]
        for (defence, attack), rows in rates.groupby(["defence", "attack"], sort=False):
            by_metric = rows.set_index("metric")
            cells = (
                f"{one.value:.3f} [{one.lower:.3f}, {one.upper:.3f}]"
                if metric in by_metric.index and (one := by_metric.loc[metric]) is not None
                else ""
                for metric in ("tpr_at_fpr_0.01", "auc")
            )
            accuracies = f"{rows.training_accuracy.iloc[0]:.3f}, {rows.test_accuracy.iloc[0]:.3f}"
            yield f"| {defence} | {attack} | {' | '.join(cells)} | {accuracies} |"


def _line(entry: Mapping[str, Any]) -> str:
    said = f"- {entry['defence']}, test accuracy {entry['test_accuracy']:.3f}: "
    if "gain" not in entry:
        return f"{said}no epoch is as accurate."
    (ours, theirs), (value, lower, upper) = entry["rates"], entry["gain"]
    return (
        f"{said}{ours:.1%} of the members at 1 % false positives ({entry['attacks'][0]}); epoch {entry['epoch']}, test "
        f"accuracy {entry['epoch_accuracy']:.3f}: {theirs:.1%} ({entry['attacks'][1]}). The defence gains {value:+.3f} "
        f"[{lower:+.3f}, {upper:+.3f}]: the claim {_words(verdict_of(entry))}."
    )


def _words(found: Verdict) -> str:
    return {
        Verdict.HOLDS: "holds",
        Verdict.CONTRADICTED: "is contradicted",
        Verdict.UNDECIDED: "is undecided",
        Verdict.NOT_COMPARABLE: "cannot be judged",
    }[found]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.experiments.regularised", description=__doc__)
    parser.add_argument("data", choices=SETTINGS)
    parser.add_argument("--keep", type=Path, required=True, help="where models are kept")
    asked = parser.parse_args()
    run(asked.data, asked.keep)
