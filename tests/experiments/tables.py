"""The tables of `docs/experiments.md`, made of the stored studies: `python -m tests.experiments.tables` prints them."""

from typing import Any

from tests.experiments.study import studies
from tests.experiments.verdicts import marked, reasons


def of_attacks(study: dict[str, Any], n_queries: int) -> str:
    """AUC and TPR at 1 % FPR of every attack, for each number of shadow models."""
    rows = [row for row in study["rows"] if row["n_queries"] == n_queries]
    shadows = list(dict.fromkeys(row["n_shadows"] for row in rows))
    lines = [_line("attack", *(f"{k} shadow models" for k in shadows)), _line(*["---"] * (len(shadows) + 1))]
    for attack in dict.fromkeys(row["attack"] for row in rows):
        cells = [
            f"{_short(row['auc']['value'])} / {_short(row['tpr_at_fpr_0.01']['value'])}"
            for row in rows
            if row["attack"] == attack
        ]
        lines.append(_line(attack, *cells))
    return "\n".join(lines)


def of_claims(study: dict[str, Any], n_queries: int) -> str:
    """Mean differences over pairs of targets with intervals and verdicts, for each number of shadow models; reasons."""
    claims = [claim for claim in study["claims"] if claim["n_queries"] == n_queries]
    shadows = list(dict.fromkeys(claim["n_shadows"] for claim in claims))
    lines = [_line("claim", "in", *map(str, shadows)), _line(*["---"] * (len(shadows) + 2))]
    kinds = list(dict.fromkeys((c["better"], c["relation"], c["other"], c["metric"]) for c in claims))
    for better, relation, other, metric in kinds:
        mine = {
            c["n_shadows"]: c
            for c in claims
            if (c["better"], c["relation"], c["other"], c["metric"]) == (better, relation, other, metric)
        }
        cells = [_difference(mine[k]) if k in mine else "" for k in shadows]
        lines.append(_line(f"{better} {relation} {other}", _of(metric), *cells))
    return _with_reasons(lines, reasons(claims))


def of_credit(study: dict[str, Any]) -> str:
    """Loss and calibrated loss in every variant, beside what was published."""
    heads = ["variant", "AUC: loss", "calibrated", "difference"]
    heads += ["accuracy: loss", "calibrated", "difference", "calibrated, oracle"]
    lines = [_line(*heads), _line(*["---"] * len(heads))]
    published: dict[str, Any] = {row["attack"]: row["published"] for row in study["rows"]}
    for variant in dict.fromkeys(row["variant"] for row in study["rows"]):
        loss, calibrated = (row for row in study["rows"] if row["variant"] == variant)
        claims = {claim["metric"]: claim for claim in study["claims"] if claim["variant"] == variant}
        values = (
            _with_interval(loss["auc"]),
            _with_interval(calibrated["auc"]),
            _difference(claims["auc"]),
            _with_interval(loss["accuracy"]),
            _with_interval(calibrated["accuracy"]),
            _difference(claims["accuracy"]),
            _short(calibrated["oracle_accuracy"]["value"]),
        )
        lines.append(_line(variant, *values))
    theirs = []
    for metric in ("auc", "accuracy"):
        loss, calibrated = (published[attack][metric] for attack in ("loss", "calibration_loss"))
        theirs += [_short(loss), _short(calibrated), f"+{_short(calibrated - loss)}"]
    lines.append(_line("published", *theirs, ""))
    return _with_reasons(lines, reasons(study["claims"], lambda claim: claim["variant"]))


def of_forgetting(study: dict[str, Any]) -> str:
    """Every score in every way of calibration, AUC and accuracy at the public threshold, beside what was published."""
    variants = list(dict.fromkeys(row["variant"] for row in study["rows"]))
    heads = [f"{short}: {v}" for v in variants for short in ("AUC", "accuracy")]
    heads = ["score", "calibrated", *heads, "AUC: published", "accuracy: published"]
    lines = [_line(*heads), _line(*["---"] * len(heads))]
    for score, way in dict.fromkeys((row["score"], row["way"]) for row in study["rows"]):
        mine = [row for row in study["rows"] if (row["score"], row["way"]) == (score, way)]
        values = [_with_interval(row[metric]) for row in mine for metric in ("auc", "accuracy")]
        lines.append(_line(score, way or "no", *values, *(_short(v) for v in mine[0]["published"].values())))
    return "\n".join(lines)


def of_gains(study: dict[str, Any]) -> str:
    """Mean differences in AUC over trials, for each variant."""
    variants = list(dict.fromkeys(claim["variant"] for claim in study["claims"]))
    lines = [_line("claim, in AUC", *variants, "published"), _line(*["---"] * (len(variants) + 2))]
    for better, other in dict.fromkeys((c["better"], c["other"]) for c in study["claims"]):
        mine = [c for c in study["claims"] if (c["better"], c["other"]) == (better, other)]
        lines.append(_line(f"{better} above {other}", *map(_difference, mine), f"+{_short(mine[0]['published'])}"))
    return "\n".join(lines)


def all_tables() -> dict[str, list[str]]:
    found = {}
    for name, study in studies().items():
        if name == "german-credit":
            found[name] = [of_credit(study)]
        elif name == "german-credit-forgetting":
            found[name] = [of_forgetting(study), of_gains(study)]
        else:
            queries = dict.fromkeys((1, study["configuration"]["n_queries"]))
            found[name] = [table(study, q) for q in queries for table in (of_attacks, of_claims)]
    return found


def _with_reasons(lines: list[str], why: list[str]) -> str:
    return "\n".join([*lines, *([""] if why else []), *why])


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def _with_interval(mean: dict[str, float]) -> str:
    return f"{_short(mean['value'])} ± {_short(mean['upper'] - mean['value'])}"


def _difference(claim: dict[str, Any]) -> str:
    sign = "+" if claim["value"] >= 0 else "−"
    return f"{sign}{_short(abs(claim['value']))} ± {_short(claim['upper'] - claim['value'])}{marked(claim)}"


def _of(metric: str) -> str:
    return "AUC" if metric == "auc" else f"TPR at {float(metric.rsplit('_', 1)[1]):.1%} FPR".replace(".0%", " %")


def main() -> None:
    for name, tables in all_tables().items():
        print(f"## {name}", *tables, sep="\n\n", end="\n\n")


if __name__ == "__main__":
    main()
