"""How much of the confidences' power labels alone reach: `VESTIGE_DATA=... python -m tests.experiments.label_power`.

10 networks, 446-128-128-30, are trained for 40 epochs on random halves of Location30, in complementary pairs. The first
of each pair is the target; the 8 models that are neither it nor its partner are the shadow models. All answer noisy
copies of every record with labels, to the same copies. Intervals are Student's over pairs. Flips of .02 are those that
shadow models chose in the study of labels. The triple of strengths is the better of two that were compared on these
same targets, so rows with three strengths are slightly optimistic.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import special
from tests.experiments.settings import SETTINGS
from tests.experiments.study import circumstances
from tests.experiments.targets_in_turn import mean_of

from vestige.attacks.empirical_bayes import empirical_bayes_online
from vestige.attacks.learnt_ratio import label_only_learnt_ratio
from vestige.core.inputs import InputSpace
from vestige.data.sets.designs import complementary_pairs
from vestige.evaluation.roc import point_at_fpr, roc
from vestige.signals.label_only.agreement import agreement
from vestige.signals.label_only.noise import Noise, NoiseStrength
from vestige.signals.phi import phi_from_logits
from vestige.training.strategies import Strategy, groups_of, train_group

RESULTS = Path(__file__).parents[2] / "results" / "power" / "labels-location30.json"
STRENGTHS = (0.005, 0.01, 0.02, 0.05, 0.1)
ASKED = {"1 x 25": ((2,), 25), "1 x 100": ((2,), 100), "3 x 34": ((1, 2, 3), 34), "3 x 83": ((1, 2, 3), 83)}
"""Places of strengths, and copies of each."""
METRICS = ("auc", "tpr_at_fpr_0.01", "tpr_at_fpr_0.001")
N_MODELS, N_DRAWS, BLOCK = 10, 100, 200


def observe() -> dict[str, np.ndarray]:
    """Train the networks, and ask each about all copies: correct, [strength model record draw]."""
    setting = SETTINGS["location30"]
    pool, recipe, strategy = setting.records(), setting.recipe(), Strategy(stack=N_MODELS)
    inputs, labels = np.asarray(pool.inputs).astype(np.float32), np.asarray(pool.labels)
    is_in = complementary_pairs(N_MODELS, len(labels), seed=0)
    [group] = groups_of(recipe, is_in, strategy)
    models = list(train_group(recipe, pool, is_in[group], [int(i) for i in group], strategy))
    trained = {int(i): model for i, model in zip(group, models, strict=True) if not isinstance(model, Exception)}
    networks = [trained[i].classifier for i in range(N_MODELS)]
    correct = np.zeros((len(STRENGTHS), *is_in.shape, N_DRAWS), dtype=bool)
    with torch.inference_mode():
        phi = [phi_from_logits(network(torch.from_numpy(inputs)).numpy(), labels) for network in networks]
        for place, flips in enumerate(STRENGTHS):
            noise = Noise(InputSpace(), inputs, NoiseStrength(flips=flips), seed=0)
            for first in range(0, len(labels), BLOCK):
                rows = np.arange(first, min(first + BLOCK, len(labels)))
                copies = torch.from_numpy(noise.copies(inputs[rows], rows, 0, N_DRAWS))
                for model, network in enumerate(networks):
                    found = network(copies).argmax(1).numpy().reshape(len(rows), N_DRAWS)
                    correct[place, model, rows] = found == labels[rows, None]
    return {"phi": np.array(phi), "is_in": is_in, "correct": correct}


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


def scores_of(seen: dict[str, np.ndarray], target: int) -> dict[tuple[str, str], np.ndarray]:
    """Every attack on one target, by its name and by what is asked."""
    models = np.arange(len(seen["is_in"]))
    others = models // 2 != target // 2
    is_in, phi = seen["is_in"][others], seen["phi"]
    scores = {
        ("empirical Bayes", "confidences"): empirical_bayes_online(phi[target], phi[others], is_in),
        ("learnt ratio", "confidences"): label_only_learnt_ratio(phi[target], phi[others], is_in),
    }
    for asked, (places, n) in ASKED.items():
        correct = seen["correct"][list(places), :, :, :n]
        counts, signal = correct.sum(axis=3), agreement(correct).mean(axis=0)
        scores |= {
            ("Gaussian of shares", asked): empirical_bayes_online(signal[target], signal[others], is_in),
            ("beta-binomial of counts", asked): np.sum(
                [beta_binomial(c[target], c[others], is_in, n) for c in counts], axis=0
            ),
            ("learnt ratio", asked): label_only_learnt_ratio(signal[target], signal[others], is_in),
        }
    return scores


def rates(scores: np.ndarray, member: np.ndarray) -> tuple[float, float, float]:
    """AUC, and TPR at 1 % and 0.1 % FPR."""
    curve = roc(scores[member], scores[~member])
    return curve.auc, curve.rates_at(point_at_fpr(curve, 0.01))[0], curve.rates_at(point_at_fpr(curve, 0.001))[0]


def study(seen: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """A row per attack and way of asking; differences are to the Gaussian of the same answers."""
    found: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for target in range(0, len(seen["is_in"]), 2):
        for key, scores in scores_of(seen, target).items():
            found.setdefault(key, []).append(rates(scores, seen["is_in"][target]))
    rows = []
    for (attack, asked), values in found.items():
        plain = found[("empirical Bayes" if asked == "confidences" else "Gaussian of shares", asked)]
        row: dict[str, Any] = {"attack": attack, "asked": asked}
        for i, metric in enumerate(METRICS):
            ours, theirs = np.array(values)[:, i], np.array(plain)[:, i]
            row[metric] = {k: round(v, 4) for k, v in vars(mean_of(ours)).items()}
            row[f"{metric}_more"] = {k: round(v, 4) for k, v in vars(mean_of(ours - theirs)).items()}
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.experiments.label_power", description=__doc__)
    parser.add_argument("--keep", type=Path, help="file where answers of the networks are kept")
    keep = parser.parse_args().keep
    if keep is not None and keep.exists():
        with np.load(keep) as stored:
            seen = dict(stored)
    else:
        seen = observe()
        if keep is not None:
            np.savez_compressed(keep, phi=seen["phi"], is_in=seen["is_in"], correct=seen["correct"])
    head = {"data": "location30", "n_models": N_MODELS, "n_shadows": N_MODELS - 2, "strengths": STRENGTHS}
    lines = ",\n  ".join(json.dumps(row) for row in study(seen))
    text = json.dumps(head | circumstances(), indent=1)[:-2]
    RESULTS.write_text(f'{text},\n "rows": [\n  {lines}\n ]\n}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
