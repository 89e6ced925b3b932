"""Does the interval of a mean over training runs cover the mean over trainings of all models?

From the root: `python -m tests.auditing.results.training_runs_study`, about half an hour on one core; less with
`--models 8` or fewer `--draws`. Prints a table and writes `training_runs.json` beside this file.

Phi of record i under model m is `a_i + d_i (1 + u_m) [i trained on] + noise`: the records' a_i ~ N(0, 2^2) and d_i are
drawn once per scenario, models and noise anew in every draw. The true value is the mean over all draws of a scenario.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

from vestige.attacks import CATALOGUE
from vestige.auditing.played import Played, PlayedAttacks
from vestige.auditing.references.phi import ReferencePhi
from vestige.auditing.references.scores import ReferenceScores
from vestige.auditing.results.every_target import effects_of_references, spread_of, values_of_targets
from vestige.core.likelihood_ratio import LikelihoodRatio
from vestige.core.options import SubjectScore
from vestige.core.progress import silent
from vestige.core.seeds import stream

RESULTS = Path(__file__).with_name("training_runs.json")
COVERAGE_BAR = 0.93
ATTACKS = ("lira_online", "empirical_bayes_online")
N_RECORDS = 200


@dataclass(frozen=True)
class Scenario:
    """What the records leak, and how models are drawn.

    Attributes:
        name: What is special about it.
        n_models: Models in all, each in turn the target.
        leak: Mean of d_i.
        leaking: Share of the records with d_i = leak / leaking; the others have none.
        unequal: Standard deviation of u_m: models that fit their members more than others.
        group: Models drawn together: 2 for pairs, 6 for a share of 5/6, 1 for models drawn alone.
    """

    name: str
    n_models: int
    leak: float = 0.0
    leaking: float = 1.0
    unequal: float = 0.0
    group: int = 2

    def draws(self, n_draws: int, seed: int = 0) -> Iterator[ReferenceScores]:
        """What all models answered, again and again."""
        rng = stream(seed, f"training runs {self}")
        levels = 2 * rng.normal(size=N_RECORDS)
        steps = np.where(rng.random(N_RECORDS) < self.leaking, self.leak / self.leaking, 0.0)
        for _ in range(n_draws):
            member = self.members(rng)
            fit = 1 + self.unequal * rng.normal(size=(self.n_models, 1))
            phi = levels + steps * fit * member + rng.normal(size=member.shape)
            yield scored(phi, member, np.arange(self.n_models) // self.group)

    def members(self, rng: np.random.Generator) -> np.ndarray:
        """Whether each model was trained on each record."""
        if self.group == 1:
            return np.asarray(rng.random((self.n_models, N_RECORDS)) < 0.5)
        if self.group == 2:
            half = rng.random((self.n_models // 2, N_RECORDS)) < 0.5
            return np.stack([half, ~half], axis=1).reshape(self.n_models, N_RECORDS)
        out_of = rng.integers(self.group, size=(self.n_models // self.group, N_RECORDS))
        return np.asarray(np.concatenate([np.arange(self.group)[:, None] != one for one in out_of]))


def scored(phi: np.ndarray, member: np.ndarray, groups: np.ndarray) -> ReferenceScores:
    """References as an audit holds them, with the scores of a target that nothing here reads."""
    n = phi.shape[1]
    nobody = np.empty((len(phi), 0, 1))
    answers = {"phi": phi[0][:, None], "shadow_phi": phi[:, :, None], "is_in": member}
    answers |= {"population_phi": nobody[0], "population_shadow_phi": nobody, "population_is_in": nobody[..., 0] > 0}
    found = ReferencePhi(answers=answers, n_saturated=0, limit=0.0, order=np.arange(n), by_id=True, groups=groups)
    attacks = tuple(a for a in CATALOGUE if a.name in ATTACKS)
    likelihood = LikelihoodRatio(variance="pooled")
    played = tuple(Played(attack=a, scores=np.zeros(n)) for a in attacks)
    return ReferenceScores(
        observed=found, attacks=PlayedAttacks(played=played), shadow=None, asked=likelihood, likelihood=likelihood,
        definitions={},
    )  # fmt: skip


def study(scenario: Scenario, n_draws: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """A row per attack and number."""
    found: dict[tuple[str, str], list[tuple[float, float, float, float, float]]] = {}
    for references in scenario.draws(n_draws, seed):
        values = values_of_targets(references, None, SubjectScore.MEAN, silent)
        effects = effects_of_references(references, None, SubjectScore.MEAN, values, silent)
        for s in spread_of(values, references.observed, effects):
            of_targets = [v.value for v in values if (v.attack, v.metric) == (s.attack, s.metric)]
            found.setdefault((s.attack, s.metric), []).append(
                (s.mean, s.lower, s.upper, s.std, float(np.var(of_targets)))
            )
    for (attack, metric), numbers in found.items():
        mean, lower, upper, std, within = np.array(numbers).T
        true = float(mean.mean())
        coverage = float(np.mean((lower <= true) & (true <= upper)))
        low, high = np.quantile(mean, [0.025, 0.975])
        freedom = min(16, scenario.n_models // scenario.group) - 1
        sure = float(high - low) * float(special.stdtrit(freedom, 0.975)) / 1.96
        of_one = float(np.sqrt(within.mean() + mean.var()))
        yield {
            "scenario": scenario.name,
            "n_models": scenario.n_models,
            "group": scenario.group,
            "attack": attack,
            "metric": metric,
            "true": round(true, 5),
            "draws": int(mean.size),
            "coverage": round(coverage, 4),
            "interval_below": round(float(np.mean(upper < true)), 4),
            "interval_above": round(float(np.mean(lower > true)), 4),
            "without": round(float(np.mean(np.isnan(lower))), 4),  # too few left
            "width": round(float(np.nanmean(upper - lower)), 5),
            "width_of_known_variance": round(sure, 5),
            "std_of_one_target": round(of_one, 5),
            "std_said": round(float(np.sqrt(np.mean(std**2))), 5),
        }


def all_scenarios() -> list[Scenario]:
    """No leak, a leak of all and of half of the records, models that fit alike and unalike; pairs, groups, neither."""
    scenarios = []
    for n_models in (6, 8, 16, 32):
        scenarios += [
            Scenario("no leak", n_models),
            Scenario("all records leak", n_models, 1.0),
            Scenario("all records leak, models unequal", n_models, 1.0, 1.0, 0.3),
            Scenario("half of the records leak, models unequal", n_models, 1.0, 0.5, 0.3),
            Scenario("a tenth of the records leaks", n_models, 0.5, 0.1),
        ]
    scenarios += [
        Scenario("all records leak, models unequal, share of 5/6", 24, 1.0, 1.0, 0.3, group=6),
        Scenario("no leak, models drawn alone", 24, group=1),
        Scenario("all records leak, models unequal, drawn alone", 24, 1.0, 1.0, 0.3, group=1),
    ]
    return scenarios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=600)
    parser.add_argument("--models", type=int, default=0, help="only scenarios with as many; their rows are replaced")
    asked = parser.parse_args()
    rows = json.loads(RESULTS.read_text(encoding="utf-8"))["rows"] if asked.models else []
    for scenario in all_scenarios():
        if asked.models not in (0, scenario.n_models):
            continue
        rows = [r for r in rows if (r["scenario"], r["n_models"]) != (scenario.name, scenario.n_models)]
        for found in study(scenario, asked.draws if scenario.n_models < 20 else asked.draws // 2):
            rows.append(found)
            print(*(f"{v:>9}" if not isinstance(v, str) else f"{v:24}" for v in found.values()), flush=True)
        lines = ",\n  ".join(json.dumps(r) for r in rows)
        RESULTS.write_text(
            f'{{\n "level": 0.95,\n "coverage_bar": {COVERAGE_BAR},\n "rows": [\n  {lines}\n ]\n}}\n', encoding="utf-8"
        )


if __name__ == "__main__":
    main()
