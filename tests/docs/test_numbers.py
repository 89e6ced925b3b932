"""Tables and numbers of the teaching pages are those of the stored results that the pages name."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vestige.evaluation.intervals import nonmembers_needed

ROOT = Path(__file__).parents[2]
SETS = {
    "location30": "Location30, network",
    "adult": "Adult, network",
    "adult-forest": "Adult, forest",
    "adult-boosting": "Adult, boosting",
    "mnist": "MNIST, network",
    "cifar10-jpeg": "CIFAR-10 (JPEG), network",
}
ASKED = (
    ("empirical Bayes", "confidences"),
    ("learnt ratio", "confidences"),
    ("learnt ratio", "noise, 1 x 25"),
    ("learnt ratio", "noise, 1 x 100"),
    ("learnt ratio", "mixtures, 1 x 25"),
    ("learnt ratio", "mixtures, 1 x 100"),
)
DEFENCES = re.compile(
    r"(?P<name>[^:]+): the strongest adaptive attack \((?P<attack>\w+)\) (?P<found>.*?); test accuracy "
    r"(?P<accuracy>[\d.]+)\.(?: Better than early stopping, epoch \d+ at test accuracy (?P<other>[\d.]+): "
    r"(?P<better>\w+), by (?P<by>\S+ \S+ \S+\]))?"
)


def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


def read(place: str) -> Any:
    return json.loads((ROOT / place).read_text(encoding="utf-8"))


def by_shadow_models() -> Iterator[str]:
    for stem, title in SETS.items():
        rows = read(f"results/power/{stem}.json")["rows"]
        found = {(row["attack"], row["n_shadows"]): row["tpr_at_fpr_0.01"]["value"] for row in rows}
        asked = [
            ("loss", 2),
            *(("empirical_bayes_online", n) for n in (2, 4)),
            *(("learnt_ratio", n) for n in (6, 8, 16, 64)),
        ]
        cells = [f"{found[key]:.3f}" if key in found else "" for key in asked]
        yield f"| {title} | {' | '.join(cells)} |"


def by_labels() -> Iterator[str]:
    of_sets = []
    for stem in ("location30", "adult", "cifar10-jpeg"):
        rows = read(f"results/power/labels-{stem}.json")["rows"]
        of_sets.append({(row["attack"], row["asked"]): row["tpr_at_fpr_0.01"]["value"] for row in rows})
    for attack, asked in ASKED:
        yield f"| {attack}, {asked} | {' | '.join(f'{found[attack, asked]:.3f}' for found in of_sets)} |"


def by_defence() -> Iterator[str]:
    for sentence in read("results/defences/location30.json")["sentences"]:
        said = DEFENCES.match(sentence)
        assert said, sentence
        found = re.sub(r"^identifies | of the members at 1 % false positives$|^has an ", "", said["found"])
        against = f"{said['better']}, by {said['by']} (accuracy {said['other']})" if said["better"] else ""
        yield f"| {said['name']} | {found} | {said['accuracy']} | {against} |"


def by_size() -> Iterator[str]:
    rows = read("tests/evaluation/coverage.json")["rows"]
    for n, fpr in ((1000, 0.01), (10000, 0.01), (10000, 0.001)):
        chosen = [
            next(
                r
                for r in rows
                if (r["scenario"], r["unit"], r["n_members"], r["metric"]) == (s, "record", n, f"tpr_at_fpr_{fpr:g}")
            )
            for s in ("null", "d' = 1", "d' = 2")
        ]
        yield f"| {n:,} | {fpr:.1%} | " + " | ".join(f"{r['true']:.3f} ± {r['width'] / 2:.3f}" for r in chosen) + " |"


def needed() -> Iterator[str]:
    for fpr in (0.1, 0.01, 0.001, 0.0001):
        yield f"| {100 * fpr:g} % | {nonmembers_needed(fpr):,} |"


def nulls() -> Iterator[str]:
    for row in read("tests/auditing/null_audits.json"):
        yield f"| {row['design']} | {row['leak_shown'] / row['draws']:.1%} | {row['upper_95']:.1%} |"


def test_the_adversaries_find_what_is_stored():
    text = page("threat-models")
    rows = read("results/power/location30.json")["rows"]
    of = {(r["attack"], r["n_shadows"]): r["tpr_at_fpr_0.01"]["value"] for r in rows}
    labels = {(r["attack"], r["asked"]): r for r in read("results/power/labels-location30.json")["rows"]}
    imitators = {r["attack"]: r for r in read("results/power/imitators-location30.json")["rows"]}
    for value, start in (
        (labels["learnt ratio", "noise, 1 x 100"]["tpr_at_fpr_0.01"]["value"], "| sees labels, asks often"),
        (of["loss", 8], "| sees probabilities, knows some"),
        (of["learnt_ratio", 8], "| sees probabilities, has 8"),
        (imitators["learnt_ratio_with_imitators, 8 + 8"]["tpr_at_fpr_0.01"]["value"], "| and 8 imitators"),
    ):
        line = next(line for line in text.splitlines() if line.startswith(start))
        assert f"| {100 * value:.1f} %" in line


def test_what_was_measured_against_peers_is_stored():
    text = page("comparison")
    measured = {row["name"]: row for row in read("benchmarks/results.json")}
    for name, ours, theirs in (
        ("peer_roc", "11 ms", "33 ms"),
        ("location_against_art", "3.5 s", "10.6 s"),
        ("boundary_images_art", "1.1 records/s", "0.5 records/s"),
        ("boundary_images_foolbox", "0.7711", "0.7 records/s"),
        ("boundary_table_art", "117.6 records/s", "12.2 records/s"),
        ("boundary_table_foolbox", "0.2404", "30.5 records/s"),
    ):
        assert ours in measured[name]["what"]
        assert theirs in measured[name]["against"]
        assert all(number.split()[0][:5].rstrip("0") in text for number in (ours, theirs))


def test_answers_of_the_faq_are_short_and_their_numbers_stored():
    text = page("faq")
    parts = text.split("\n### ")[1:]
    assert len(parts) >= 20
    for part in parts:
        answer = re.sub(r"```.*?```", "", part.partition("\n")[2], flags=re.DOTALL)
        assert 1 <= sum(bool(line.strip()) for line in answer.splitlines()) <= 6, part
        assert "`" in part or "](" in part, part
    rows = {(r["attack"], r["asked"]): r for r in read("results/power/labels-location30.json")["rows"]}
    labels, confidences = (
        100 * rows["learnt ratio", asked]["tpr_at_fpr_0.01"]["value"] for asked in ("noise, 1 x 100", "confidences")
    )
    assert f"still find {labels:.1f} % of the members on Location30 at 1 % false positives" in " ".join(text.split())
    assert f"confidences {confidences:.1f} %" in " ".join(text.split())


TABLES = (
    ("choosing", by_shadow_models),
    ("choosing", by_labels),
    ("choosing", by_defence),
    ("choosing", needed),
    ("statistics", by_size),
    ("statistics", nulls),
)


@pytest.mark.parametrize(("name", "table"), TABLES, ids=lambda x: x if isinstance(x, str) else x.__name__)
def test_a_table_is_that_of_the_stored_results(name, table):
    assert "\n".join(table()) in page(name)


def test_numbers_in_sentences_of_choosing_are_the_stored_ones():
    text = " ".join(page("choosing").split())
    found: dict[tuple[str, str], float] = {}
    for stem in (
        "imitators-location30",
        "imitators-adult",
        "imitators-mnist",
        "offline-location30",
        "offline-adult",
        "offline-mnist",
    ):
        found |= {
            (stem, r["attack"]): r["tpr_at_fpr_0.01"]["value"] for r in read(f"results/power/{stem}.json")["rows"]
        }
    imitated = ("imitators-location30", "imitators-adult", "imitators-mnist")
    both = [found[stem, "learnt_ratio_with_imitators, 8 + 8"] for stem in imitated]
    alone = [found[stem, "learnt_ratio, 8"] for stem in imitated]
    assert "find {:.3f} on Location30, {:.3f} on Adult and {:.3f} on MNIST".format(*both) in text
    assert "8 shadow models alone find {:.3f}, {:.3f} and {:.3f}".format(*alone) in text
    offline, others = [], []
    for stem in ("offline-location30", "offline-adult", "offline-mnist"):
        of_eight = {attack: rate for (there, attack), rate in found.items() if there == stem and attack.endswith(", 8")}
        offline.append(of_eight.pop("learnt_ratio_offline, 8"))
        others.append(max(of_eight.values()))
    assert "finds {:.3f} on Location30, {:.3f} on Adult and {:.3f} on MNIST with 8".format(*offline) in text
    assert "without IN models finds {:.3f}, {:.3f} and {:.3f}".format(*others) in text
    for stem in ("location30", "adult", "adult-forest", "adult-boosting"):
        rows = read(f"results/power/{stem}.json")["rows"]
        of = {(r["attack"], r["n_shadows"]): r["tpr_at_fpr_0.01"]["value"] for r in rows}
        assert of["learnt_ratio", 8] > 0.8 * max(value for (_, n), value in of.items() if n == 128)
    for name in ("location30", "adult", "cifar10-jpeg"):
        rows = {(r["attack"], r["asked"]): r for r in read(f"results/power/labels-{name}.json")["rows"]}
        for kind in ("noise", "mixtures"):
            few, many = (rows["learnt ratio", f"{kind}, 1 x {n}"]["tpr_at_fpr_0.01"]["value"] for n in (25, 100))
            assert few > 0.8 * many


def test_numbers_in_sentences_of_statistics_are_the_stored_ones():
    text = " ".join(page("statistics").split())
    alarms = [f"{row['rate']:.1%}" for row in read("tests/evaluation/preflight/false_alarms.json")]
    of_tables = read("tests/evaluation/preflight/false_alarms_tables.json")["rate"]
    assert f"flagged {min(alarms)} to {max(alarms)} (".replace("%", " %") in text
    assert f"and {of_tables:.1%} of tables".replace("%", " %") in text
    rows = read("tests/evaluation/coverage.json")["rows"]
    one = [row["coverage"] for row in rows if row["attacks"] == 1 and not row["degenerate"]]
    assert f"in {min(one):.1%} to {max(one):.1%} of 5,000 draws or more".replace("%", " %") in text
    trainings = min(row["coverage"] for row in read("tests/auditing/results/training_runs.json")["rows"])
    assert f"in {trainings:.1%} of the draws or more".replace("%", " %") in text


if __name__ == "__main__":
    for _, lines in TABLES:
        print("\n".join(lines()), "\n")
