"""Names and numbers as a reader sees them: every word and every digit of the page and the terminal is chosen here."""

import math
import re
from collections.abc import Sequence

from vestige.core.result import DECISIVE_FPR, DECISIVE_NONMEMBERS, Finding, FindingState, Status, Validity
from vestige.report.rows import Cell

DASH = "–"
HIDDEN = "hidden"

AFTER_LEAK = (
    "Do not release the model yet. Find a defence: vestige compare-defences PLAN.toml --out DIR trains models with "
    "each defence that you list (weight decay, early stopping, differential privacy and others), attacks them, and "
    "says what is still found and what accuracy is left; --help says what PLAN.toml holds. Train the model with the "
    "one that you choose, and audit it again"
)
"""What to do once a leak was shown."""
NO_DEFENCE = "no defence"

_SHORT_FORMS = re.compile(r"\b(auc|fpr|roc|tpr)\b")
_ATTACKS = {
    "worst": "Worst of all attacks",
    "max_confidence": "Max. confidence",
    "lira_online": "LiRA, online",
    "lira_offline": "LiRA, offline",
    "lira_offline_two_sided": "LiRA, offline, two-sided",
    "lira_in_only": "LiRA, IN models only",
    "empirical_bayes_online": "Empirical Bayes, online",
    "empirical_bayes_offline": "Empirical Bayes, offline",
    "learnt_ratio": "Learnt ratio",
    "base_score_online": "BASE, online",
    "base_score_offline": "BASE, offline",
    "rmia_online": "RMIA, online",
    "rmia_offline": "RMIA, offline",
    "attack_r": "Attack R",
    "attack_p": "Attack P",
    "nn_shokri": "Classifier of Shokri et al.",
    "nn_nasr": "Classifier of Nasr et al.",
    "nn_nasr_logits": "Classifier of Nasr et al., logits",
    "nn_memguard": "Classifier of MemGuard",
    "nn_memguard_rounded": "Classifier of MemGuard, rounded answers",
    "nn_memguard_adversarial": "Classifier of MemGuard, trained adversarially",
    "forest_memguard": "Forest of MemGuard",
    "nn_augmentation": "Classifier of augmented copies",
    "nn_combined_distance": "Classifier of distances of copies",
    "calibration_loss": "Calibrated loss",
    "calibration_confidence": "Calibrated confidence",
    "calibration_gradient_norm": "Calibrated gradient norm",
}
_ACCESS = {
    "label": "its class and nothing else",
    "loss": "the loss of the true class",
    "confidence": "probabilities of all classes",
    "gradients": "probabilities, and gradients of its parameters",
}
_KNOWLEDGE = {
    "known half": "Knows of half of the records who was a member",
    "one shadow model": "Has one model of its own, trained alike",
    "records and recipe": "Has models trained alike on the same records",
    "records, recipe and parameters": "Has models that began with its parameters",
}
_SOURCES = {"shadow": "Shadow model", "known_half": "Known half"}
_RULES = {
    "global": "one threshold for all",
    "per_class": "one threshold per class",
    "strict": "strict rule (score above the threshold)",
}


def attack(name: str) -> str:
    """Name an attack in words.

    Example:
        >>> attack("modified_entropy")
        'Modified entropy'
    """
    return _ATTACKS.get(name, sentence_case(name))


def sentence_case(name: str) -> str:
    """Turn a name of the code into words.

    Example:
        >>> sentence_case("blind_inputs"), sentence_case("tpr_at_fpr")
        ('Blind inputs', 'TPR at FPR')
    """
    words = _SHORT_FORMS.sub(lambda match: match[0].upper(), name.replace("_", " "))
    return words[:1].upper() + words[1:]


def remedy(finding: Finding, validity: Validity, defences: Sequence[tuple[str, ...]] = ()) -> str:
    """Say what to do about a finding; nothing where the test is CONFOUNDED, whose checks say their own cures.

    Args:
        finding: What was shown.
        validity: Of the test.
        defences: Of each that a comparison looked at: its name, what is found under it, the change and the accuracy
            left; what leaves the least to find first. Where to read if there are none.

    Example:
        >>> finding = Finding(
        ...     state=FindingState.UNDECIDED,
        ...     sentence="",
        ...     fpr=0.01,
        ...     tpr=0.02,
        ...     tpr_lb=0.0,
        ...     tpr_ub=0.1,
        ...     p_value=0.3,
        ...     smallest_visible_tpr=0.1,
        ...     n_needed=900,
        ... )
        >>> remedy(finding, Validity.VALID)
        'Repeat the audit with 900 members and as many nonmembers, and with the attackers that were not tested; until \
then nothing is decided.'
    """
    if validity is Validity.CONFOUNDED:
        return ""
    if finding.state is FindingState.UNDECIDED:
        n = f"{finding.n_needed:,} members and as many nonmembers" if finding.n_needed else "more records"
        return f"Repeat the audit with {n}, and with the attackers that were not tested; until then nothing is decided."
    if finding.state is FindingState.NO_LEAK_SHOWN:
        return (
            "Before you rely on it, audit again with stronger attackers; and again when the model, its data or what it "
            "answers changes."
        )
    if not defences:
        enough = f", with at least {DECISIVE_NONMEMBERS:,} nonmembers: fewer cannot show that no leak is left"
        return f"{AFTER_LEAK}{enough if finding.fpr > DECISIVE_FPR else ''}."
    undefended = [one for one in defences if one[0] == NO_DEFENCE]
    parts = [f"{name}: {found}, test accuracy {accuracy}" for name, found, _, accuracy in [*defences[:2], *undefended]]
    said = "; ".join(dict.fromkeys(parts))
    return (
        f"What helps, and at what price? Of the {len(defences)} defences compared, on models trained alike, what the "
        f"strongest adaptive attack still finds, the least first: {said}. Train and audit this model under the one "
        "that you choose."
    )


def access(name: str) -> str:
    """Say what the model answers.

    Example:
        >>> access("label")
        'its class and nothing else'
    """
    return _ACCESS.get(name, name)


def knowledge(name: str) -> str:
    """Say what the adversary has, as a heading.

    Example:
        >>> knowledge("known half"), knowledge("3 source models")
        ('Knows of half of the records who was a member', '3 source models')
    """
    return _KNOWLEDGE.get(name, sentence_case(name))


def rule(threshold: str) -> str:
    """Name a threshold rule in words.

    Example:
        >>> rule("shadow_per_class"), rule("known_half_fpr_0.01")
        ('Shadow model, one threshold per class', 'Known half, set for 1% false positives')
    """
    if threshold == "oracle":
        return "Oracle, the best threshold on the target itself"
    if threshold == "natural":
        return "The attack's own decision (log-odds above 0)"
    for prefix, source in _SOURCES.items():
        if threshold.startswith(f"{prefix}_"):
            kind = threshold.removeprefix(f"{prefix}_")
            if kind.startswith("fpr_"):
                return f"{source}, set for {rate(float(kind.removeprefix('fpr_')))} false positives"
            return f"{source}, {_RULES.get(kind, sentence_case(kind).lower())}"
    return sentence_case(threshold)


def group(name: str) -> str:
    """Name a group in words.

    Example:
        >>> group("worst_class"), group("class=bird"), group("sex=f")
        ('Worst class of any attack', 'bird', 'sex: f')
    """
    if name.startswith("class="):
        return name.removeprefix("class=")
    return f"{sentence_case(name)} of any attack" if name.startswith("worst_") else name.replace("=", ": ", 1)


def rate(fraction: float) -> str:
    """Write a chosen rate, such as a false-positive rate to stay under, without idle digits.

    Example:
        >>> rate(0.1), rate(0.001)
        ('10%', '0.1%')
    """
    return DASH if math.isnan(fraction) else f"{100 * fraction:.6g}%"


def digits(fraction: float) -> int:
    """Decimals of a percentage so that small rates keep two telling digits.

    Example:
        >>> digits(0.34), digits(0.0021), digits(0.0)
        (1, 2, 1)
    """
    if not 0 < abs(fraction) < 0.01:
        return 1
    return min(4, 1 - math.floor(math.log10(abs(100 * fraction))))


def digits_at(fpr: float) -> int:
    """Decimals of a column of percentages that are measured at a false-positive rate, so that the column aligns.

    Example:
        >>> digits_at(0.1), digits_at(0.01), digits_at(0.0001)
        (1, 1, 3)
    """
    return max(1, round(-math.log10(fpr)) - 1)


def percent(fraction: float, places: int | None = None) -> str:
    """Write a measured rate.

    Example:
        >>> percent(0.0698), percent(0.00123), percent(0.00123, 1), percent(float("nan"))
        ('7.0%', '0.12%', '0.1%', '–')
    """
    if math.isnan(fraction):
        return DASH
    return f"{100 * fraction:.{digits(fraction) if places is None else places}f}%"


def percent_bounds(cell: Cell, places: int | None = None) -> str:
    """Write the interval of a rate, with as many decimals as the rate; empty where there is none."""
    if math.isnan(cell.lower) or math.isnan(cell.upper):
        return ""
    places = digits(cell.value) if places is None else places
    return f"{100 * cell.lower:.{places}f}–{100 * cell.upper:.{places}f}%"


def area(value: float) -> str:
    """Write an area under a ROC.

    Example:
        >>> area(0.70316)
        '0.703'
    """
    return DASH if math.isnan(value) else f"{value:.3f}"


def area_bounds(cell: Cell) -> str:
    """Write the interval of an area; empty where there is none."""
    if math.isnan(cell.lower) or math.isnan(cell.upper):
        return ""
    return f"{cell.lower:.3f}–{cell.upper:.3f}"


def signed(value: float, *, is_area: bool) -> str:
    """Write a difference of areas, or of rates in percentage points.

    Example:
        >>> signed(-0.0314, is_area=True), signed(0.0314, is_area=False), signed(float("nan"), is_area=True)
        ('−0.031', '+3.1 points', '–')
    """
    if math.isnan(value):
        return DASH
    return (f"{value:+.3f}" if is_area else f"{100 * value:+.1f} points").replace("-", "−")


def difference(cell: Cell) -> str:
    """Say in words which way a difference of a group from all others points, if its interval leaves out zero.

    Example:
        >>> difference(Cell(value=0.2, lower=0.1, upper=0.3)), difference(Cell(value=0.2, lower=-0.1, upper=0.3))
        ('easier to find', 'no difference shown')
    """
    if cell.lower > 0:
        return "easier to find"
    return "harder to find" if cell.upper < 0 else "no difference shown"


def p_value(value: float) -> str:
    """Write a p-value.

    Example:
        >>> p_value(0.00043), p_value(1e-12), p_value(0.5)
        ('0.00043', 'below 0.0001', '0.5')
    """
    if math.isnan(value):
        return DASH
    return "below 0.0001" if value < 1e-4 else f"{value:.2g}"


def count(value: int | None) -> str:
    """Write a count.

    Example:
        >>> count(12000), count(None)
        ('12,000', '–')
    """
    return DASH if value is None else f"{value:,}"


def frequencies(*numbers: float) -> list[str]:
    """Write how many of a crowd, all with a decimal where some are hardly any.

    Example:
        >>> frequencies(7.83, 52.4), frequencies(1.36, 3.1, 5.7), frequencies(1.0), frequencies(0.0, 4.2)
        (['8', '52'], ['1.4', '3.1', '5.7'], ['1'], ['0', '4.2'])
    """
    places = 1 if min(numbers) < 1.95 else 0
    return [f"{number:.{places}f}".removesuffix(".0") for number in numbers]


def needed(cell: Cell) -> str:
    """Say how many nonmembers would make a row resolvable; its definition names the number.

    Example:
        >>> needed(Cell(status="not_resolvable", definition="10 false positives need 1,000 nonmembers"))
        'needs 1,000'
    """
    _, _, tail = cell.definition.rpartition("need")
    numbers = [int(number.replace(",", "")) for number in re.findall(r"(?<![\d.])\d[\d,]*(?!\.?\d)", tail)]
    return f"needs {max(numbers):,}" if numbers else Status.NOT_RESOLVABLE.replace("_", " ")


def small_cell(cell: Cell) -> str:
    """Say why a row is hidden; its definition names the smallest cell that is shown.

    Example:
        >>> small_cell(Cell(status="suppressed", definition="hidden: fewer than 20 units on a side, or ..."))
        'fewer than 20, or would reveal a small group'
    """
    match = re.search(r"(?:fewer than|under) (\d+)", cell.definition)
    # A larger group may be hidden so that a small one cannot be found by subtraction.
    return f"fewer than {match[1] if match else 10}, or would reveal a small group"


def listing(names: list[str]) -> str:
    """Join names as in a sentence.

    Example:
        >>> listing(["a", "b", "c"])
        'a, b and c'
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
