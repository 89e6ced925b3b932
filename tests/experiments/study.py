"""Do attacks with reference models do on real data what their papers say of them?

From the root: `python -m tests.experiments.study NAME`, with the data in VESTIGE_DATA; one of `settings.SETTINGS` or
`ON_CREDIT`. Trains, plays models as targets in turn, and writes `results/experiments/NAME.json`: minutes each, on
one core. With `--keep FOLDER` what the models answered is kept there, and taken from there the next time. Verdicts are
made of all stored studies together, and anew each time; without a name nothing is trained and verdicts alone are made.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from tests.experiments import credit, forgetting
from tests.experiments.exceptions import exceptions_of
from tests.experiments.settings import SETTINGS, Setting
from tests.experiments.shadow_answers import Answers, in_pairs, kept, train_and_ask
from tests.experiments.targets_in_turn import METRICS, play
from tests.experiments.verdicts import claim_row, judged

from vestige.core.records import Records
from vestige.evaluation.intervals import is_resolvable
from vestige.evaluation.trials import LEVEL, mean_of
from vestige.papers.reproduction.running import as_text
from vestige.papers.reproduction.verdicts import MARGIN

RESULTS = Path(__file__).parents[2] / "results" / "experiments"
SEED = 0
ON_CREDIT = {"german-credit": credit, "german-credit-forgetting": forgetting}


@dataclass(frozen=True)
class Claim:
    """What somebody says about two attacks.

    Attributes:
        source: Who says it.
        better: The attack that is said to be better, or as good.
        other: The attack it is compared with.
        relation: `above`, `at least` or `equal`, the last two up to `MARGIN`.
        metric: In what.
        shadows: With how many shadow models; empty: with each number that was tried.
        unmet: A condition of it that no study of models in pairs meets.
    """

    source: str
    better: str
    other: str
    relation: str
    metric: str = "tpr_at_fpr_0.01"
    shadows: tuple[int, ...] = ()
    unmet: str = ""


_PEAK = "references were trained as long as the target; Watson et al.'s stop at the peak of validation accuracy"
_VARIANCES = "LiRA has pooled residual variances here; in their comparison it has those of its paper"
_VIEWS = "the models were not trained on the views that are asked"

_P2, _P4, _OURS = "Carlini et al. 2022", "Watson et al. 2022", "ours, from a prototype"
CLAIMS: tuple[Claim, ...] = (
    Claim(_P2, "lira_online", "global_threshold", "above"),
    Claim(_P2, "lira_online", "lira_offline", "above"),
    Claim(_P2, "lira_online", "calibration_loss", "above"),
    Claim(_P2, "lira_online", "lira_online_per_record", "above", shadows=(4, 8, 16)),
    Claim(_P4, "calibration_loss", "loss", "above", "auc", unmet=_PEAK),
    Claim(_P4, "calibration_loss", "loss", "above", unmet=_PEAK),
    Claim(_OURS, "empirical_bayes_online", "lira_online", "at least"),
    Claim(_OURS, "empirical_bayes_online", "lira_online_per_record", "at least"),
    Claim(_OURS, "empirical_bayes_online", "lira_online_per_record", "equal", shadows=(128,)),
    Claim(_OURS, "empirical_bayes_offline", "lira_offline", "at least"),
    Claim("Lassila et al. 2025", "base_score_online", "rmia_online", "equal"),
    Claim("Lassila et al. 2025", "base_score_online", "lira_online", "at least", unmet=_VARIANCES),
    Claim(_OURS, "empirical_bayes_online", "base_score_online", "at least"),
    Claim("Zarifzadeh et al. 2024", "rmia_online", "lira_online", "above", "auc", unmet=_VARIANCES),
    Claim("Zarifzadeh et al. 2024", "rmia_online", "attack_r", "above"),
)


QUERIES_HELP = ("lira_online", "empirical_bayes_online", "calibration_loss", "global_threshold")
"""Attacks that are compared with themselves: with all queries of a record, and with the first alone."""

OfAttacks = Mapping[str, Mapping[str, Any]]
"""Attack, metric -> its values over pairs of targets."""


def claims_about(rates: Mapping[tuple[int, int], OfAttacks], *, trains_with_views: bool = True) -> list[dict[str, Any]]:
    """All claims with their evidence, from the rates of each number of shadow models and of queries."""
    found = []
    for (n_shadows, n_queries), of_attacks in rates.items():
        unmet = "" if n_queries == 1 or trains_with_views else _VIEWS
        for claim in CLAIMS:
            if not claim.shadows or n_shadows in claim.shadows:
                ours, theirs = (of_attacks[name][claim.metric] for name in (claim.better, claim.other))
                found.append(_claimed(claim, n_shadows, n_queries, np.subtract(ours, theirs), unmet or claim.unmet))
        for name in QUERIES_HELP if n_queries > 1 else ():
            claim = Claim(_P2, name, f"{name}, one query", "above")
            ours, theirs = (rates[n_shadows, n][name][claim.metric] for n in (n_queries, 1))
            found.append(_claimed(claim, n_shadows, n_queries, np.subtract(ours, theirs), unmet))
    return found


def _claimed(claim: Claim, n_shadows: int, n_queries: int, differences: Any, unmet: str) -> dict[str, Any]:
    what = {name: value for name, value in asdict(claim).items() if name not in ("shadows", "unmet")}
    return claim_row(what | {"n_shadows": n_shadows, "n_queries": n_queries}, claim.relation, differences, unmet=unmet)


def claims_of(name: str, study: dict[str, Any]) -> list[dict[str, Any]]:
    """The claims of a study with their evidence, from its stored rates or trials."""
    if name in ON_CREDIT:
        claims: list[dict[str, Any]] = ON_CREDIT[name].claims_of(study["trials"])
        return claims
    rates: dict[tuple[int, int], dict[str, Any]] = {}
    for row in study["rows"]:
        rates.setdefault((row["n_shadows"], row["n_queries"]), {})[row["attack"]] = row["of_pairs"]
    return claims_about(rates, trains_with_views=SETTINGS[name].trains_with_views)


def judged_together(studies: Mapping[str, dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The claims of all studies, judged in one: a paper's claims on several sets are one family."""
    claims = {name: claims_of(name, study) for name, study in studies.items()}
    said = iter(judged([claim for of_study in claims.values() for claim in of_study]))
    return {name: [next(said) for _ in of_study] for name, of_study in claims.items()}


def compared(setting: Setting, answers: Answers) -> list[dict[str, Any]]:
    """Rates of every attack for each number of shadow models and queries, rounded: claims are judged from these."""
    rows = []
    for queries in dict.fromkeys((1, answers.phi.shape[2])):
        for n_shadows in setting.shadows:
            found = play(answers.phi[:, :, :queries], answers.is_in, n_shadows=n_shadows, n_pairs=setting.n_pairs)
            rates = {a: {m: np.round(v, 5) for m, v in metrics.items()} for a, metrics in found.items()}
            head = {"n_shadows": n_shadows, "n_queries": queries}
            rows += [row_of(attack, metrics) | head for attack, metrics in rates.items()]
    return rows


def row_of(attack: str, metrics: dict[str, Any]) -> dict[str, Any]:
    means = {metric: {k: round(v, 5) for k, v in vars(mean_of(metrics[metric])).items()} for metric in METRICS}
    return {"attack": attack} | means | {"of_pairs": {metric: metrics[metric].tolist() for metric in METRICS}}


def answers_of(setting: Setting, records: Records, n_models: int, say: Any = print) -> Answers:
    is_in = in_pairs(n_models, records.n_records)
    return train_and_ask(
        setting.recipe(), records, is_in, seed=SEED, strategy=setting.strategy, views=setting.views, progress=say
    )


def run(name: str, keep: Path | None) -> dict[str, Any]:
    setting = SETTINGS[name]
    answers = kept(keep, name, lambda: answers_of(setting, setting.records(), setting.n_models))
    begun = time.perf_counter()
    rows = compared(setting, answers)
    n_nonmembers = int((~answers.is_in).sum(axis=1).min())
    return {
        "data": name,
        "words": setting.words,
        "configuration": {
            "n_models": setting.n_models,
            "n_records": answers.phi.shape[1],
            "n_queries": answers.phi.shape[2],
            "n_pairs": setting.n_pairs,
            "design": "complementary pairs; target and partner left out; shadow models are the pairs that follow",
            "population": "of RMIA: the audited records",
            "level": LEVEL,
            "margin": MARGIN,
            "seed": SEED,
            "strategy": asdict(setting.strategy),
        },
        "training_accuracy": round(float(answers.training_accuracy.mean()), 4),
        "test_accuracy": round(float(answers.test_accuracy.mean()), 4),
        "epochs": round(float(answers.epochs.mean()), 1),
        "resolvable": {m: is_resolvable(float(m.rsplit("_", 1)[1]), n_nonmembers) for m in METRICS[1:]},
        "seconds": {"training": round(answers.seconds), "attacks": round(time.perf_counter() - begun)},
        **circumstances(),
        "rows": rows,
    }


def circumstances() -> dict[str, Any]:
    packages = ("vestige", "numpy", "scipy", "torch")
    return {
        "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in packages},
        "cores": os.cpu_count(),
        "measured": datetime.now(UTC).date().isoformat(),
    }


def written(result: dict[str, Any], path: Path) -> None:
    """A line per row, so that a difference between two studies can be read."""
    lists = ("rows", "claims", "exceptions", "trials")
    found = [key for key in lists if isinstance(result.get(key), Sequence)]
    path.write_text(as_text(result, found), encoding="utf-8")


def judge_what_is_stored() -> dict[str, list[dict[str, Any]]]:
    """Write the verdicts and the exceptions of all studies anew; nothing that was measured changes."""
    stored = studies()
    said = judged_together(stored)
    for name, claims in said.items():
        written(stored[name] | {"claims": claims, "exceptions": exceptions_of(name)}, RESULTS / f"{name}.json")
    return said


def studies() -> dict[str, dict[str, Any]]:
    """What is stored, by name."""
    paths = [RESULTS / f"{name}.json" for name in sorted((*SETTINGS, *ON_CREDIT))]
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.experiments.study", description=__doc__)
    parser.add_argument("name", choices=[*SETTINGS, *ON_CREDIT], nargs="?")
    parser.add_argument("--keep", type=Path, help="where answers of models are kept")
    asked = parser.parse_args()
    if asked.name:
        made = ON_CREDIT[asked.name].run() | circumstances() if asked.name in ON_CREDIT else run(asked.name, asked.keep)
        written(made, RESULTS / f"{asked.name}.json")
    for name, claims in judge_what_is_stored().items():
        for claim in claims if asked.name in (None, name) else ():
            print(name, *claim.values())


if __name__ == "__main__":
    main()
