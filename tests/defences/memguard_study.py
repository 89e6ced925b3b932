"""MemGuard on Location30 by Song & Mittal's protocol: `python -m tests.defences.memguard_study --seeds 5`.

The target, a shadow model on records of its own, and the attacks on metrics with thresholds per class that are set on
the shadow's answers, undefended and defended. The adversary adapts: the shadow's answers are defended by a classifier
of its own (the shadow's members and nonmembers), or, as released, by the target's. Rates are accuracies of the attack.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vestige.attacks.confidence import confidence
from vestige.attacks.correctness import correctness
from vestige.attacks.entropy import entropy
from vestige.attacks.modified_entropy import modified_entropy
from vestige.core.outputs import Logits
from vestige.core.probabilities import from_logits, from_probabilities
from vestige.core.targets import Answers
from vestige.data import load
from vestige.data.sets.paper_designs import SongMittalData, song_mittal_memguard
from vestige.defences import MemGuard
from vestige.evaluation.thresholds import decide, per_class_thresholds
from vestige.evaluation.units import make_units
from vestige.papers.song_mittal import location_memguard_recipe
from vestige.targets.opening import open_target

RESULTS = Path(__file__).with_name("memguard.json")


def models(seed: int) -> tuple[dict[str, Logits], dict[str, np.ndarray]]:
    """Logits of the target and of the shadow model about their own records, and labels of these."""
    records = load("location30")
    split = song_mittal_memguard(SongMittalData.LOCATION30, np.random.default_rng(seed).permutation(records.n_records))
    recipe = replace(location_memguard_recipe(), full_batches=True)
    answers, labels = {}, {}
    for names in (("members", "defender", "nonmembers"), ("shadow_members", "shadow_nonmembers")):
        model = recipe.fit(records.take(getattr(split, names[0])), seed=seed)
        target = open_target(model.classifier, records.n_classes)
        for name in names:
            some = records.take(getattr(split, name))
            answers[name], labels[name] = Logits(target.answers(some.inputs).whole()), some.labels
    return answers, labels


def scores(answers: Answers, labels: np.ndarray) -> dict[str, np.ndarray]:
    """The metrics of Song & Mittal."""
    found = (from_logits if isinstance(answers, Logits) else from_probabilities)(answers.whole())
    return {
        "correctness": correctness(found.predicted, labels),
        "confidence": confidence(found.of(found.p, labels)),
        "entropy": entropy(found),
        "modified_entropy": modified_entropy(found, labels),
    }


def both(answers: dict[str, Any], labels: dict[str, np.ndarray], sides: tuple[str, str]) -> tuple[Answers, np.ndarray]:
    """The answers about both sides as one."""
    kind = type(answers[sides[0]])
    return kind(np.concatenate([answers[s].whole() for s in sides])), np.concatenate([labels[s] for s in sides])


def accuracies(target: Answers, labels: np.ndarray, shadow: Answers, shadow_labels: np.ndarray) -> dict[str, float]:
    """Balanced accuracy of each attack on the target; members are the first half of both."""
    known, units = (make_units(None, np.arange(len(y)) < len(y) // 2) for y in (shadow_labels, labels))
    of_shadow, found = scores(shadow, shadow_labels), {}
    for name, values in scores(target, labels).items():
        called = values > 0
        if name != "correctness":
            thresholds = per_class_thresholds(known, of_shadow[name], shadow_labels, 30).of(labels)
            called = decide(units, values, thresholds, strict=False)
        found[name] = 0.5 * (called[units.member].mean() + 1 - called[~units.member].mean())
    return {name: round(float(value), 4) for name, value in found.items()}


def study(seed: int) -> dict[str, Any]:
    """One target and one shadow model."""
    answers, labels = models(seed)
    guards = {
        "target": MemGuard().fitted(answers["members"], answers["defender"], seed),
        "own": MemGuard().fitted(answers["shadow_members"], answers["shadow_nonmembers"], seed),
    }
    target, y = both(answers, labels, ("members", "nonmembers"))
    shadow, shadow_y = both(answers, labels, ("shadow_members", "shadow_nonmembers"))
    begun = time.perf_counter()
    told = guards["target"](target)
    seconds = time.perf_counter() - begun
    p = from_logits(target.whole()).p
    before, after = (guards["target"].member_probability(a) for a in (target, told))
    is_member = np.arange(len(y)) < len(y) // 2
    return {
        "seed": seed,
        "train_accuracy": round(float((answers["members"].whole().argmax(1) == labels["members"]).mean()), 4),
        "test_accuracy": round(float((answers["defender"].whole().argmax(1) == labels["defender"]).mean()), 4),
        "undefended": accuracies(target, y, shadow, shadow_y),
        "own classifier": accuracies(told, y, guards["own"](shadow), shadow_y),
        "target's classifier": accuracies(told, y, guards["target"](shadow), shadow_y),
        "mean_l1": round(float(np.abs(told.whole() - p).sum(axis=1).mean()), 4),
        "label_kept": float((told.whole().argmax(axis=1) == target.whole().argmax(axis=1)).mean()),
        "moved": float((np.abs(told.whole() - p).sum(axis=1) > 0).mean()),
        "crossed_as_sorted_again": round(float(((before > 0.5) != (after > 0.5)).mean()), 4),
        "classifier_accuracy": round(float(((before > 0.5) == is_member).mean()), 4),
        "seconds": round(seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    found = []
    for seed in range(parser.parse_args().seeds):
        found.append(study(seed))
        print(json.dumps(found[-1]), flush=True)
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
