"""How much of the confidences' power labels alone reach: `python -m tests.experiments.label_power NAME --keep FOLDER`.

From the root, with the data in VESTIGE_DATA. The networks of a setting are trained in complementary pairs. Both models
of each pair are targets; the 8 models of the pairs that follow are the shadow models. All answer the same copies of
every record with labels: noisy ones, and mixtures with records of other classes. Where several strengths have as many
copies as are asked about (`draws` in the results), shadow models choose, each in turn the target of the others, by the
TPR at 1 % FPR. Intervals are Student's over pairs. Networks and answers are kept in the folder as they come, and found
again.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import special
from tests.experiments.settings import SETTINGS
from tests.experiments.shadow_answers import in_pairs, mirrored_and_shifted
from tests.experiments.study import circumstances
from tests.experiments.targets_in_turn import METRICS, rates_of, shadows_of

from vestige.attacks.empirical_bayes import empirical_bayes_online
from vestige.attacks.learnt_ratio import label_only_learnt_ratio
from vestige.core.inputs import InputSpace
from vestige.core.seeds import stream
from vestige.evaluation.strength import choose_on_shadows
from vestige.evaluation.trials import mean_of
from vestige.signals.label_only.agreement import agreement
from vestige.signals.label_only.mixtures import Mixtures, MixtureStrength
from vestige.signals.label_only.noise import Noise, NoiseStrength
from vestige.signals.phi import phi_from_logits
from vestige.training.classifier import Classifier
from vestige.training.strategies import groups_of, train_group

FOLDER = Path(__file__).parents[2] / "results" / "power"
N_SHADOWS, BLOCK = 8, 20


@dataclass(frozen=True)
class Asking:
    """A way of asking: copies at each strength of one of several choices, and how many of them."""

    choices: tuple[tuple[str, ...], ...]
    n_draws: int


@dataclass(frozen=True, kw_only=True)
class LabelStudy:
    """What is asked of the networks of a setting.

    Attributes:
        n_models: Networks.
        draws: Copies that are asked about, by the name of their strength: what is changed, and how much.
        asked: Ways of asking, by their names.
        chosen: Strengths of the copies of which shadow models choose 25.
        n_records: Records that are asked about, the first of the pool; all if omitted.
        batch: Inputs that a network is given at once, as many as are fast.
    """

    n_models: int
    draws: Mapping[str, int]
    asked: Mapping[str, Asking]
    chosen: tuple[str, ...]
    n_records: int | None = None
    batch: int = 2_000


def _one(*names: str) -> tuple[tuple[str, ...], ...]:
    return tuple((name,) for name in names)


_GAUSSIAN = ("gaussian-0.02", "gaussian-0.05", "gaussian-0.1", "gaussian-0.2")
_FLIPS = ("flips-0.005", "flips-0.01", "flips-0.02", "flips-0.05")
_BOTH = tuple(f"{one}+{other}" for one, other in zip(_GAUSSIAN, _FLIPS, strict=True))
_MIXED = ("mixture-0.05", "mixture-0.1", "mixture-0.2", "mixture-0.4")
VIEWS = "views"
"""The image, shifted by up to a pixel, and mirrored."""
_ON_CIFAR = dict.fromkeys((*_MIXED, *_GAUSSIAN), 34) | {"mixture-0.1": 100, "gaussian-0.1": 100, VIEWS: 18}
_ON_LOCATION = dict.fromkeys((*_FLIPS, *_MIXED), 100) | dict.fromkeys(("flips-0.02", "mixture-0.1", "mixture-0.2"), 250)
_ON_ADULT = dict.fromkeys((*_BOTH, *_MIXED), 100) | {_BOTH[0]: 250, "mixture-0.05": 250, "mixture-0.1": 250}
CHOSEN = "25 of mixtures, 3 x 34, chosen by shadow models"


def _askings(noise: tuple[str, ...], draws: Mapping[str, int]) -> dict[str, Asking]:
    found = {}
    for n in (25, 34, 100, 250):
        for kind, names in (("noise", noise), ("mixtures", _MIXED), ("either", noise + _MIXED)):
            enough = tuple(name for name in names if draws[name] >= n)
            if enough and (kind != "either" or n == 34):
                found[f"{kind}, 1 x {n}"] = Asking(_one(*enough), n)
    found["noise, 3 x 34"] = Asking((noise[:3], noise[1:]), 34)
    if VIEWS in draws:
        found["shifts and mirror, 18"] = Asking(_one(VIEWS), draws[VIEWS])
    found["mixtures, 3 x 34"] = Asking((_MIXED[:3], _MIXED[1:]), 34)
    return found


STUDIES = {
    "location30": LabelStudy(n_models=18, draws=_ON_LOCATION, asked=_askings(_FLIPS, _ON_LOCATION), chosen=_MIXED[:3]),
    "cifar10-jpeg": LabelStudy(
        n_models=18, draws=_ON_CIFAR, asked=_askings(_GAUSSIAN, _ON_CIFAR), chosen=_MIXED[:3], batch=50
    ),
    "adult": LabelStudy(
        n_models=18, draws=_ON_ADULT, asked=_askings(_BOTH, _ON_ADULT), chosen=_MIXED[:3], n_records=5_000
    ),
}


# ----------------------------------------------------------------------------------------- networks and answers


def networks(name: str, folder: Path) -> list[Classifier]:
    """The networks of a setting, trained where they are not kept; what they answer to the records is kept beside."""
    setting, n_models = SETTINGS[name], STUDIES[name].n_models
    recipe, pool, found = setting.recipe(), setting.records(), {}
    is_in = in_pairs(n_models, pool.n_records)
    for group in groups_of(recipe, is_in, setting.strategy):
        paths = {i: folder / f"model-{i}.pt" for i in group}
        if not all(path.exists() for path in paths.values()):
            seeds = [int(stream(0, f"experiment, model {i}").integers(2**31)) for i in group]
            trained = train_group(recipe, pool, is_in[group], seeds, setting.strategy)
            for i, model in zip(group, trained, strict=True):
                if isinstance(model, Exception):
                    raise model
                torch.save(model.classifier.state_dict(), paths[i])
                print(f"model {i}, {model.epoch} epochs", flush=True)
        for i, path in paths.items():
            found[i] = Classifier(recipe.network(), recipe.preprocess)
            found[i].load_state_dict(torch.load(path))
    return [found[i].ready() for i in range(n_models)]


def observe(name: str, folder: Path) -> dict[str, Any]:
    """What every network answers: phi, and whether each copy gets the record's class, by the name of the strength."""
    folder.mkdir(parents=True, exist_ok=True)
    pool, found, study = SETTINGS[name].records(), networks(name, folder), STUDIES[name]
    n = study.n_records or pool.n_records
    inputs, labels = np.asarray(pool.inputs), np.asarray(pool.labels)
    correct = {}
    with torch.inference_mode():
        asked = torch.from_numpy(inputs[:n])
        phi = [phi_from_logits(_answers(one, asked, study.batch).numpy(), labels[:n]) for one in found]
        for strength, n_draws in study.draws.items():
            path = folder / f"{strength}.npy"
            kept = np.load(path) if path.exists() else np.empty((len(found), n, 0), dtype=np.uint8)
            if kept.shape[2] < n_draws:
                make = _copies_of(inputs, labels, strength)
                more = _classes(found, make, n, range(kept.shape[2], n_draws), study.batch)
                kept = np.concatenate([kept, more], axis=2)
                np.save(path, kept)
                print(f"{strength}, {n_draws} copies", flush=True)
            correct[strength] = kept[:, :, :n_draws] == labels[:n, None]
    return {"phi": np.array(phi), "is_in": in_pairs(len(found), pool.n_records)[:, :n], "correct": correct}


def _answers(network: Any, inputs: torch.Tensor, batch: int) -> torch.Tensor:
    return torch.cat([network(part) for part in inputs.split(batch)])


Make = Callable[[np.ndarray, int, int], np.ndarray]
"""From rows and a range of draws to copies."""


def _classes(found: Sequence[Any], make: Make, n: int, draws: range, batch: int) -> np.ndarray:
    """Classes that networks give copies of the first n records, model x record x draw."""
    answers = np.empty((len(found), n, len(draws)), dtype=np.uint8)
    for first in range(0, n, BLOCK):
        rows = np.arange(first, min(first + BLOCK, n))
        copies = torch.from_numpy(make(rows, draws.start, draws.stop))
        for model, network in enumerate(found):
            answers[model, rows] = _answers(network, copies, batch).argmax(1).numpy().reshape(rows.size, -1)
    return answers


def _copies_of(inputs: np.ndarray, labels: np.ndarray, strength: str) -> Make:
    """Makes copies by the name of a strength, such as `mixture-0.2`."""
    if strength == VIEWS:
        return lambda rows, first, last: np.stack(list(mirrored_and_shifted(inputs[rows])), axis=1)[
            :, first:last
        ].reshape(-1, *inputs.shape[1:])
    parts = {kind: float(value) for kind, value in (part.split("-") for part in strength.split("+"))}
    if "mixture" in parts:
        return Mixtures(InputSpace(), inputs, labels, MixtureStrength(parts["mixture"]), seed=0).copies
    noise = Noise(
        InputSpace(), inputs, NoiseStrength(gaussian=parts.get("gaussian", 0), flips=parts.get("flips", 0)), 0
    )
    return lambda rows, first, last: np.asarray(noise.copies(inputs[rows], rows, first, last))


# ------------------------------------------------------------------------------------------------------ attacks


def beta_binomial(own: np.ndarray, theirs: np.ndarray, is_in: np.ndarray, n: int) -> np.ndarray:
    """Log-ratio of beta-binomial predictive probabilities of the target's count, priors by moments across records.

    The mean of a record's rate shrinks to a prior: for OUT models that of all records, for IN models a straight line in
    the OUT mean. Its spread between models is that of all records, as a share of the binomial's, moved to its own.
    """
    least, means, log_p = 0.5 / (n + 1), np.zeros(own.size), []
    for side in (~is_in, is_in):
        k, rate = side.sum(axis=0).astype(float), theirs / n
        mean = np.where(side, rate, 0).sum(axis=0) / np.maximum(k, 1)
        squares = np.where(side, (rate - mean) ** 2, 0).sum(axis=0)
        x = means - means.mean()
        slope = (x @ (mean - mean.mean())) / max(x @ x, 1e-12)
        prior = np.clip(mean.mean() + slope * x, least, 1 - least)
        within = squares.sum() / np.maximum(k - 1, 0).sum()
        strength = within / max(1e-4, np.mean((mean - prior) ** 2) - within * np.mean(1 / np.maximum(k, 1)))
        means = np.clip((k * mean + strength * prior) / (k + strength), least, 1 - least)
        most = means * (1 - means)
        moved = squares + strength * k / (k + strength) * (mean - prior) ** 2
        spread = (4 * np.clip(within / most.mean(), 1e-3, 0.95) * most + moved / 2) / (4 + k / 2)
        certainty = most / np.clip(spread * (1 + 1 / (k + strength)), 1e-6, 0.95 * most) - 1
        a, b = means * certainty, (1 - means) * certainty
        log_p.append(special.betaln(own + a, n - own + b) - special.betaln(a, b))
    return np.asarray(log_p[1] - log_p[0])


def log_odds_of_chosen(
    own: np.ndarray, theirs: np.ndarray, is_in: np.ndarray, n: int = 25, strength: float = 4.0
) -> np.ndarray:
    """Sum of the log-odds of the target's answers to the n copies whose answers tell most among the shadow models.

    The rate at which models of a side call a copy rightly has a beta prior of this strength: its mean is the copy's
    rate over all records, moved on the logit scale as far as the record's rate over all copies is from that of all.

    Args:
        own: Which copies the target calls rightly, record x copy.
        theirs: The same of shadow models, model x record x copy.
        is_in: Of the shadow models.
        n: Copies that would be asked about.
        strength: Of the prior.
    """
    rates = []
    for side in (is_in, ~is_in):
        k, right = side.sum(axis=0)[:, None], (theirs & side[:, :, None]).sum(axis=0)
        of_copy = special.logit(np.clip(right.sum(axis=0) / k.sum(), 0.01, 0.99))
        of_record = np.clip(right.mean(axis=1, keepdims=True) / np.maximum(k, 1), 0.02, 0.98)
        prior = special.expit(of_copy + special.logit(of_record) - special.logit(of_record.mean()))
        rates.append(np.clip((right + strength * prior) / (k + strength), 0.01, 0.99))
    of_in, of_out = rates
    tell = (of_in - of_out) ** 2 / (of_in * (1 - of_in) + of_out * (1 - of_out))
    places = np.argsort(-tell, axis=1, kind="stable")[:, :n]
    odds = np.where(own, np.log(of_in / of_out), np.log((1 - of_in) / (1 - of_out)))
    return np.asarray(np.take_along_axis(odds, places, axis=1).sum(axis=1))


def _chosen(
    correct: Mapping[str, np.ndarray], asking: Asking, shadows: Sequence[int], is_in: np.ndarray
) -> tuple[str, ...]:
    """The strengths with the largest TPR at 1 % FPR of shadow models in turn; these stand in pairs."""
    if len(asking.choices) == 1:
        return asking.choices[0]
    signals = [
        np.mean([agreement(correct[name][shadows][:, :, : asking.n_draws]) for name in names], axis=0)
        for names in asking.choices
    ]
    partner = np.arange(len(shadows)) ^ 1
    return asking.choices[choose_on_shadows(empirical_bayes_online, signals, is_in, partner).strength]


def scores_of(
    seen: dict[str, Any], study: LabelStudy, target: int, picked: list[tuple[str, tuple[str, ...]]]
) -> dict[tuple[str, str], np.ndarray]:
    """Every attack on one target, by its name and by what is asked; the strengths taken are appended to `picked`."""
    shadows = shadows_of(target // 2, len(seen["is_in"]), N_SHADOWS)
    is_in, phi, correct = seen["is_in"][shadows], seen["phi"], seen["correct"]
    given = phi[target], phi[shadows], is_in
    scores = {
        ("empirical Bayes", "confidences"): empirical_bayes_online(*given),
        ("learnt ratio", "confidences"): label_only_learnt_ratio(*given),
    }
    for asked, asking in study.asked.items():
        names = _chosen(correct, asking, shadows, is_in)
        picked.append((asked, names))
        shown = np.stack([correct[name][:, :, : asking.n_draws] for name in names])
        counts, signal = shown.sum(axis=3), agreement(shown).mean(axis=0)
        given = signal[target], signal[shadows], is_in
        scores |= {
            ("Gaussian of shares", asked): empirical_bayes_online(*given),
            ("beta-binomial of counts", asked): np.sum(
                [beta_binomial(c[target], c[shadows], is_in, asking.n_draws) for c in counts], axis=0
            ),
            ("learnt ratio", asked): label_only_learnt_ratio(*given),
        }
    if study.chosen:
        copies = np.concatenate([correct[name][:, :, :34] for name in study.chosen], axis=2)
        scores["log-odds of copies", CHOSEN] = log_odds_of_chosen(copies[target], copies[shadows], is_in)
    return scores


def study_of(seen: dict[str, Any], study: LabelStudy) -> tuple[list[dict[str, Any]], dict[str, dict[str, int]]]:
    """A row per attack and way of asking, and how often each choice was taken.

    Differences are to the Gaussian of the same answers; those of chosen copies to 25 that were not chosen.
    """
    found: dict[tuple[str, str], list[np.ndarray]] = {}
    picked: list[tuple[str, tuple[str, ...]]] = []
    for pair in range(len(seen["is_in"]) // 2):
        of_pair: dict[tuple[str, str], list[list[float]]] = {}
        for target in (2 * pair, 2 * pair + 1):
            for key, scores in scores_of(seen, study, target, picked).items():
                rates = rates_of(scores, seen["is_in"][target])
                of_pair.setdefault(key, []).append([rates[metric] for metric in METRICS])
        for key, both in of_pair.items():
            found.setdefault(key, []).append(np.mean(both, axis=0))
    rows = []
    for (attack, asked), values in found.items():
        plain = {"confidences": ("empirical Bayes", asked), CHOSEN: ("Gaussian of shares", "mixtures, 1 x 25")}
        others = found[plain.get(asked, ("Gaussian of shares", asked))]
        row: dict[str, Any] = {"attack": attack, "asked": asked}
        for i, metric in enumerate(METRICS):
            ours, theirs = np.array(values)[:, i], np.array(others)[:, i]
            row[metric] = {k: round(v, 4) for k, v in vars(mean_of(ours)).items()}
            row[f"{metric}_more"] = {k: round(v, 4) for k, v in vars(mean_of(ours - theirs)).items()}
        rows.append(row)
    taken: dict[str, dict[str, int]] = {}
    for asked, names in picked:
        of_asked = taken.setdefault(asked, {})
        of_asked[", ".join(names)] = of_asked.get(", ".join(names), 0) + 1
    return rows, taken


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.experiments.label_power", description=__doc__)
    parser.add_argument("name", choices=STUDIES)
    parser.add_argument("--keep", type=Path, required=True, help="folder where networks and answers are kept")
    args = parser.parse_args()
    study = STUDIES[args.name]
    rows, taken = study_of(observe(args.name, args.keep / args.name), study)
    head = {"data": args.name, "n_models": study.n_models, "n_shadows": N_SHADOWS}
    lines = ",\n  ".join(json.dumps(row) for row in rows)
    text = json.dumps(head | {"draws": study.draws, "taken": taken} | circumstances(), indent=1)[:-2]
    (FOLDER / f"labels-{args.name}.json").write_text(f'{text},\n "rows": [\n  {lines}\n ]\n}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
