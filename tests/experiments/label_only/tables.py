"""Prints the tables of `docs/experiments.md` about labels alone: `python -m tests.experiments.label_only.tables`."""

import json
from pathlib import Path
from typing import Any

from vestige.papers.reproduction.verdicts import Verdict

RESULTS = Path(__file__).parents[3] / "results" / "experiments" / "label-only"
METRICS = ("balanced_accuracy", "auc")


def studies() -> dict[str, dict[str, Any]]:
    return _read(path for path in RESULTS.glob("*.json") if not path.stem.startswith("ratio-"))


def ratios() -> dict[str, dict[str, Any]]:
    return _read(RESULTS.glob("ratio-*.json"))


def _read(paths: Any) -> dict[str, dict[str, Any]]:
    found = (json.loads(path.read_text(encoding="utf-8")) for path in sorted(paths))
    return {study["data"]: study for study in found}


def of_attacks(study: dict[str, Any]) -> str:
    """Balanced accuracy at the source's threshold and AUC."""
    lines = ["| attack | records | balanced accuracy | AUC |", "| --- | --- | --- | --- |"]
    for row in study["rows"]:
        cells = (f"{_short(row[m]['value'])} [{_short(row[m]['lower'])}, {_short(row[m]['upper'])}]" for m in METRICS)
        lines.append(_line(row["attack"], row["n_records"], *cells))
    return "\n".join(lines)


def of_differences(study: dict[str, Any]) -> str:
    """Each pair once, in balanced accuracy and in AUC; what is published only where the same was done."""
    rows = study["differences"]
    is_alike = all(row.get("verdict") != Verdict.NOT_COMPARABLE for row in rows)
    heads = ["difference", "balanced accuracy", "Choquette-Choo et al.", "AUC", "verdict"]
    if not is_alike:
        heads.remove("Choquette-Choo et al.")
    lines = [_line(*heads), _line(*["---"] * len(heads))]
    for accuracy, auc in zip(rows[::2], rows[1::2], strict=True):
        published = accuracy.get("published", "")
        known = [published if isinstance(published, str) else _with_sign(published)] * is_alike
        name = f"{accuracy['better']} − {accuracy['other']}"
        lines.append(_line(name, _signed(accuracy), *known, _signed(auc), accuracy.get("verdict", "")))
    why = dict.fromkeys(f"{row['verdict'].capitalize()}: {row['why']}." for row in rows if "verdict" in row)
    return "\n".join([*lines, "", *why])


def of_power(study: dict[str, Any]) -> str:
    """Balanced accuracy / AUC against queries."""
    budgets = sorted({row["n_queries"] for row in study["power"]})
    lines = [_line("attack", *(f"{b:,} queries" for b in budgets)), _line(*["---"] * (len(budgets) + 1))]
    for attack in dict.fromkeys(row["attack"] for row in study["power"]):
        at = {row["n_queries"]: row for row in study["power"] if row["attack"] == attack}
        cells = (" / ".join(_short(at[b][m]["value"]) for m in METRICS) if b in at else "" for b in budgets)
        lines.append(_line(attack, *cells))
    return "\n".join(lines)


def of_ratio(study: dict[str, Any]) -> str:
    """Attacks, then differences, each with its interval."""
    lines = ["| attack or difference | AUC | TPR at 1 % FPR |", "| --- | --- | --- |"]
    for row in study["rows"]:
        cells = (
            f"{_short(row[m]['value'])} ± {_short(row[m]['upper'] - row[m]['value'])}"
            for m in ("auc", "tpr_at_fpr_0.01")
        )
        lines.append(_line(row["attack"], *cells))
    rows = study["differences"]
    for auc, tpr in zip(rows[::2], rows[1::2], strict=True):
        lines.append(_line(f"{auc['better']} − {auc['other']}", *(_plus_minus(row) for row in (auc, tpr))))
    return "\n".join(lines)


def all_tables() -> dict[str, list[str]]:
    found = {name: [of_attacks(s), of_differences(s), of_power(s)] for name, s in studies().items()}
    return found | {f"ratio, {name}": [of_ratio(s)] for name, s in ratios().items()}


def _short(value: float) -> str:
    text = f"{value:.3f}"
    return text[1:] if text.startswith("0.") else text


def _with_sign(value: float) -> str:
    return f"{value:+.3f}".replace("0.", ".", 1).replace("-", "−")


def _signed(row: dict[str, Any]) -> str:
    return f"{_with_sign(row['value'])} [{_with_sign(row['lower'])}, {_with_sign(row['upper'])}]"


def _plus_minus(row: dict[str, Any]) -> str:
    mark = " ?" if row["finding"] == "undecided" else ""
    return f"{_with_sign(row['value'])} ± {_short(row['upper'] - row['value'])}{mark}"


def _line(*cells: Any) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def main() -> None:
    for name, tables in all_tables().items():
        print(f"## {name}\n")
        for table in tables:
            print(table + "\n")


if __name__ == "__main__":
    main()
