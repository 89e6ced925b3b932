"""MemGuard on Location30 by Song & Mittal's protocol: `python -m tests.defences.memguard_study --seeds 5`, an hour.

The target, a shadow model on records of its own, and the attacks on metrics with thresholds per class that are set on
the shadow's answers, undefended and defended. The adversary adapts: the shadow's answers are defended by a classifier
of its own (the shadow's members and nonmembers), or, as released, by the target's. Rates are accuracies of the attack.

Beside these the attackers of Jia et al. 2019, each at its own threshold, who learn from the shadow model or from half
of the target's own records; a purifier; and which defences the check of masked answers notices.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vestige import Querying, audit, silent
from vestige.attacks import named
from vestige.attacks.confidence import confidence
from vestige.attacks.correctness import correctness
from vestige.attacks.entropy import entropy
from vestige.attacks.max_confidence import max_confidence
from vestige.attacks.modified_entropy import modified_entropy
from vestige.auditing.label_only import NoisyCopies
from vestige.core.answer_defence import AnswerDefence
from vestige.core.outputs import Logits
from vestige.core.probabilities import ClassProbabilities, from_logits, from_probabilities
from vestige.core.targets import Answers
from vestige.data import load
from vestige.data.sets.paper_designs import SongMittalData, song_mittal_memguard
from vestige.defences import MemGuard, Purifier, Rounded, StrongestMemGuard, Temperature, TopK
from vestige.evaluation.preflight.masked_answers import masked_answers, n_classes_told
from vestige.evaluation.roc import roc
from vestige.evaluation.thresholds import decide, per_class_thresholds
from vestige.evaluation.units import halves, make_units
from vestige.papers.song_mittal import location_memguard_recipe
from vestige.signals.label_only.noise import NoiseStrength
from vestige.targets.opening import open_target

RESULTS = Path(__file__).with_name("memguard.json")
ATTACKERS_SAY = """\
Location30 by Song & Mittal's protocol (`python -m tests.defences.memguard_study`). Each attacker of Jia et al. 2019
stands at its own threshold (log-odds 0), its AUC in brackets. It learns from a shadow model, undefended or defended as
the target is, or from one half of the target's own records. `nn_nasr` reads the label, and so the gap attack is always
left to it. A forest that knows half of the members finds more behind MemGuard than the gap attack does."""
CHECK_SAYS = """\
Behind MemGuard all largest probabilities are near .8, those of wrong answers a little lower, so that they still tell a
third of what right or wrong tells (AUC .56 and .70). Their lead over the second largest probability gives it away: it
is smaller for members (AUC .19). A plain paired test against the gap attack would flag 12 % of 360 honest models, the
check flags 1.7 %, all of them trees of depth 6 (`tests/evaluation/preflight/masked_answers_study.py`). Where all
answers tell probabilities of the same number of classes, and the others' are 0 or all alike, answers are cut off. The
rule of the lead was chosen on these five models."""
TARGET, SHADOW = ("members", "nonmembers"), ("shadow_members", "shadow_nonmembers")
FLIPS = (0.005, 0.01, 0.02, 0.05)
METRICS = ("correctness", "confidence", "entropy", "modified_entropy")
ATTACKERS = ("nn_memguard", "forest_memguard", "nn_nasr", "nn_memguard_rounded", "nn_memguard_adversarial")


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


def probabilities(answers: Answers) -> ClassProbabilities:
    """Probabilities, however the answers are given."""
    return (from_logits if isinstance(answers, Logits) else from_probabilities)(answers.whole())


def scores(answers: Answers, labels: np.ndarray) -> dict[str, np.ndarray]:
    """The metrics of Song & Mittal."""
    found = probabilities(answers)
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


def learners(
    target: Answers, labels: np.ndarray, shadow: Answers | None, shadow_labels: np.ndarray, seed: int
) -> dict[str, list[float]]:
    """Balanced accuracy at its own threshold, and AUC, of each attacker who learns from a shadow or from a known half.

    Members are the first half of both.
    """
    member = np.arange(len(labels)) < len(labels) // 2
    scored = {"probabilities": np.asarray(probabilities(target).p), "labels": labels}
    if shadow is not None:
        known = {"known_probabilities": np.asarray(probabilities(shadow).p), "known_labels": shadow_labels}
        known["known_member"] = np.arange(len(shadow_labels)) < len(shadow_labels) // 2
    else:
        half = halves(make_units(None, member), np.random.default_rng(seed))
        known = {f"known_{name}": values[half] for name, values in scored.items()} | {"known_member": member[half]}
        scored, member = {name: values[~half] for name, values in scored.items()}, member[~half]
    found = {}
    for attack in map(named, ATTACKERS):
        values = attack.play(scored | known)
        called = values > attack.natural_threshold
        accuracy = 0.5 * (called[member].mean() + 1 - called[~member].mean())
        found[attack.name] = [round(float(v), 4) for v in (accuracy, roc(values[member], values[~member]).auc)]
    return found


def looks_masked(answers: Answers, labels: np.ndarray) -> bool:
    """Whether an audit would say so; members are the first half."""
    found, member = probabilities(answers), np.arange(len(labels)) < len(labels) // 2
    right = correctness(found.predicted, labels)
    given = found.p if isinstance(answers, Logits) else answers.whole()  # what is 0 has a floor in the former
    lead = np.diff(np.partition(given, -2, axis=1)[:, -2:], axis=1)[:, 0]
    sure, told, first = (roc(values[member], values[~member]) for values in (max_confidence(found), right, lead))
    return masked_answers(sure, told, n_classes_told(given), given.shape[1], lead=first) is not None


def noticed(answers: Answers, labels: np.ndarray, guard: MemGuard, purifier: Purifier) -> dict[str, bool]:
    """Which defences the check of masked answers notices."""
    fronts: dict[str, AnswerDefence] = {"MemGuard": guard, "MemGuard, strongest form": StrongestMemGuard()}
    fronts |= {f"MemGuard, budget {budget:g}": replace(guard, budget=budget) for budget in (1.0, 0.5, 0.3, 0.1)}
    fronts |= {"top 3": TopK(3), "top 1": TopK(1), "purifier": purifier}
    fronts |= {"rounded to 1 decimal": Rounded(1), "temperature 4": Temperature(4.0)}
    told = {name: looks_masked(front(answers), labels) for name, front in fronts.items()}
    return {"none": looks_masked(answers, labels), **told}


def purified(answers: dict[str, Any], labels: dict[str, np.ndarray], seed: int) -> tuple[Purifier, dict[str, Any]]:
    """The target's purifier, and the metric attacks behind it, by an adversary who fits one to the shadow model."""
    target, y = both(answers, labels, ("members", "nonmembers"))
    shadow, shadow_y = both(answers, labels, ("shadow_members", "shadow_nonmembers"))
    front = Purifier().fitted(answers["members"], answers["defender"], seed)
    own = Purifier().fitted(answers["shadow_members"], answers["shadow_nonmembers"], seed)
    told, p = front(target), np.asarray(probabilities(target).p)
    return front, {
        "adaptive": accuracies(told, y, own(shadow), shadow_y),
        "unaware": accuracies(told, y, shadow, shadow_y),
        "mean_l1": round(float(np.abs(told.whole() - p).sum(axis=1).mean()), 4),
        "labels_changed": round(float((told.whole().argmax(axis=1) != p.argmax(axis=1)).mean()), 4),
        "test_accuracy": round(
            float((front(answers["nonmembers"]).whole().argmax(1) == labels["nonmembers"]).mean()), 4
        ),
    }


def by_distance(seed: int) -> dict[str, dict[str, float]]:
    """AUCs of the gap attack and of the distance attack on the target, as it is and behind its purifier.

    Records are bits, so that the distance is how often flipped copies keep their class (Choquette-Choo et al. 2021),
    asked of what the purifier makes of the model's answers. How many bits flip is chosen on the shadow model, behind a
    purifier of its own: the adversary adapts.
    """
    records = load("location30")
    split = song_mittal_memguard(SongMittalData.LOCATION30, np.random.default_rng(seed).permutation(records.n_records))
    recipe = replace(location_memguard_recipe(), full_batches=True)
    parts = {name: records.take(getattr(split, name)) for name in (*TARGET, *SHADOW, "defender")}
    asked, fronts = {}, {}
    for sides, fitted_to in ((TARGET, "defender"), (SHADOW, SHADOW[1])):
        classifier = recipe.fit(parts[sides[0]], seed=seed).classifier
        target = open_target(classifier, records.n_classes)
        inside, outside = (Logits(target.answers(parts[name].inputs).whole()) for name in (sides[0], fitted_to))
        asked[sides], fronts[sides] = classifier, Purifier().fitted(inside, outside, seed)

    def aucs(sides: tuple[str, str], front: AnswerDefence | None, flips: float) -> dict[str, float]:
        querying = Querying(access="label", label_only=(NoisyCopies(100, (NoiseStrength(flips=flips),)),))
        attacks = ["correctness", "noise_robustness"]
        members, nonmembers = (parts[name] for name in sides)
        found = audit(
            asked[sides],
            members,
            nonmembers,
            attacks=attacks,
            querying=replace(querying, defence=front),
            progress=silent,
        ).results
        rows = found[(found.metric == "auc") & (found.group == "all")].groupby("attack").value.first()
        return {name: round(float(rows[name]), 4) for name in attacks}

    told = {}
    for name, of_target, of_shadow in (("undefended", None, None), ("purifier", fronts[TARGET], fronts[SHADOW])):
        best = max(FLIPS, key=lambda flips: aucs(SHADOW, of_shadow, flips)["noise_robustness"])
        told[name] = aucs(TARGET, of_target, best) | {"flips": best}
    return told


def study(seed: int) -> dict[str, Any]:
    """One target and one shadow model."""
    answers, labels = models(seed)
    guards = {
        "target": MemGuard().fitted(answers["members"], answers["defender"], seed),
        "own": MemGuard().fitted(answers["shadow_members"], answers["shadow_nonmembers"], seed),
    }
    purifier, behind_purifier = purified(answers, labels, seed)
    target, y = both(answers, labels, ("members", "nonmembers"))
    shadow, shadow_y = both(answers, labels, ("shadow_members", "shadow_nonmembers"))
    begun = time.perf_counter()
    told = guards["target"](target)
    seconds = time.perf_counter() - begun
    p = from_logits(target.whole()).p
    before, after = (guards["target"].member_probability(a) for a in (target, told))
    is_member = np.arange(len(y)) < len(y) // 2
    own, targets = guards["own"](shadow), guards["target"](shadow)
    return {
        "seed": seed,
        "train_accuracy": round(float((answers["members"].whole().argmax(1) == labels["members"]).mean()), 4),
        "test_accuracy": round(float((answers["defender"].whole().argmax(1) == labels["defender"]).mean()), 4),
        "undefended": accuracies(target, y, shadow, shadow_y),
        "own classifier": accuracies(told, y, own, shadow_y),
        "target's classifier": accuracies(told, y, targets, shadow_y),
        "mean_l1": round(float(np.abs(told.whole() - p).sum(axis=1).mean()), 4),
        "label_kept": float((told.whole().argmax(axis=1) == target.whole().argmax(axis=1)).mean()),
        "moved": float((np.abs(told.whole() - p).sum(axis=1) > 0).mean()),
        "crossed_as_sorted_again": round(float(((before > 0.5) != (after > 0.5)).mean()), 4),
        "classifier_accuracy": round(float(((before > 0.5) == is_member).mean()), 4),
        "seconds": round(seconds, 1),
        "learners": {
            "shadow, undefended target": learners(target, y, shadow, shadow_y, seed),
            "shadow, undefended": learners(told, y, shadow, shadow_y, seed),
            "shadow, own classifier": learners(told, y, own, shadow_y, seed),
            "shadow, target's classifier": learners(told, y, targets, shadow_y, seed),
            "known half, undefended target": learners(target, y, None, shadow_y, seed),
            "known half": learners(told, y, None, shadow_y, seed),
        },
        "purifier": behind_purifier,
        "distance": by_distance(seed),
        "looks_masked": noticed(
            target, y, MemGuard().fitted(answers["members"], answers["defender"], 0), purifier
        ),  # one seed of coins for all
    }


def section() -> list[str]:
    """What the stored study says, as lines of a page."""
    runs = [run for run in json.loads(RESULTS.read_text(encoding="utf-8")) if "learners" in run]

    def mean(*path: Any) -> float:
        values: list[Any] = runs
        for key in path:
            values = [value[key] for value in values]
        return float(np.mean(values))

    who = runs[0]["learners"]
    lines = [
        "## MemGuard's own attackers, and a purifier",
        "",
        f"Means over {len(runs)} seeds.",
        *ATTACKERS_SAY.splitlines(),
        "",
        f"| learns from | {' | '.join(ATTACKERS)} |",
        "| --- " * (1 + len(ATTACKERS)) + "|",
    ]
    for name in who:
        cells = (f"{mean('learners', name, a, 0):.3f} ({mean('learners', name, a, 1):.3f})" for a in ATTACKERS)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += [
        "",
        "| behind | correctness | confidence | entropy | modified entropy |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, path in (
        ("nothing", ("undefended",)),
        ("MemGuard, adaptive", ("own classifier",)),
        ("a purifier, adaptive", ("purifier", "adaptive")),
        ("a purifier, unaware", ("purifier", "unaware")),
    ):
        lines.append(f"| {name} | {' | '.join(f'{mean(*path, a):.3f}' for a in METRICS)} |")
    changed = [mean("purifier", name) for name in ("labels_changed", "mean_l1")]
    lines += [
        "",
        f"The purifier changes {changed[0]:.1%} of the labels and moves answers by {changed[1]:.2f} (L1). An adversary "
        "who fits one to the shadow model loses nothing by it.",
        "",
        *_distance_says([run["distance"] for run in runs if "distance" in run]),
        "",
        "| audits that say answers look masked | of |",
        "| --- | --- |",
        *(f"| {name} | {mean('looks_masked', name):.0%} |" for name in runs[0]["looks_masked"]),
        "",
        *CHECK_SAYS.splitlines(),
    ]
    return lines


def _distance_says(runs: list[dict[str, dict[str, float]]]) -> list[str]:
    """What the distance attack finds behind a purifier, of the seeds that it was played on."""
    before, after = (
        [float(np.mean([run[name][attack] for run in runs])) for attack in ("correctness", "noise_robustness")]
        for name in ("undefended", "purifier")
    )
    return [
        "Labels behind the purifier are asked too: the distance attack (copies with flipped bits, chosen on the shadow",
        f"model behind its own purifier) has an AUC of {after[1]:.3f} there and of {before[1]:.3f} without it, the gap",
        f"attack {after[0]:.3f} and {before[0]:.3f} (seeds: {len(runs)}).",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--distance", action="store_true", help="only the distance attack, where it is not stored")
    asked = parser.parse_args()
    if asked.distance:
        runs = json.loads(RESULTS.read_text(encoding="utf-8"))
        for run in (one for one in runs if "learners" in one and "distance" not in one):
            run["distance"] = by_distance(run["seed"])
            RESULTS.write_text(json.dumps(runs, indent=1) + "\n")
        return
    found = []
    for seed in range(asked.seeds):
        found.append(study(seed))
        print(json.dumps(found[-1]), flush=True)
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
