"""What a comparison says of each defence, in a sentence each."""

from collections.abc import Mapping

from vestige.auditing.comparison.family import UNDEFENDED, beside
from vestige.auditing.comparison.measured import RISK_OF_RISING, SHARE_RISING, Compared, Found
from vestige.auditing.comparison.over_records import half_width
from vestige.auditing.comparison.rates import GAP, RATE, RATIO
from vestige.auditing.comparison.rising import RISE

WITHOUT_DP = (
    "No defence is DP-SGD, so none is compared with weakly private training; give a recipe with DPSGD(...) among its "
    "defences."
)
"""What is said where no recipe has it."""

_LIKE = 0.02  # test accuracies that differ by more are not alike


def sentence_of(name: str, found: Mapping[str, Compared], epsilons: Mapping[str, float]) -> str:
    """Return what the comparison says of one defence.

    Args:
        name: Its name.
        found: What was measured.
        epsilons: What the defences that are DP-SGD promise, by name [nats].
    """
    one = found[name]
    attack, rates, metric = _strongest(one)
    mean = rates.over_pairs
    what = (
        f"identifies {mean.value:.1%} [{mean.lower:.1%}, {mean.upper:.1%}] of the members at 1 % false positives"
        if metric == RATE
        else f"has an AUC of {mean.value:.3f} [{mean.lower:.3f}, {mean.upper:.3f}]"
    )
    said = (
        f"{name}: the strongest adaptive attack ({attack}) {what}; test accuracy {one.family.test_accuracy.mean():.3f}."
    )
    if one.family.n_changed == 0:
        said += " It changed no answer of any model."
    early = found.get(beside(name))
    if early is not None and name != UNDEFENDED:
        said += " " + _better(one, early, early.family.name.replace(UNDEFENDED, "no defence"))
    if name != UNDEFENDED and name not in epsilons:
        said += _better_than_private(one, {other: found[other] for other in epsilons if other in found}, epsilons)
    return said + _rising(one)


def _strongest(one: Compared) -> tuple[str, Found, str]:
    """Attack, rates and metric of the attack of an adversary who adapts that finds the most."""
    every = [found for adversary in ("adaptive", "any") for found in one.by_adversary[adversary].items()]
    metric = RATE if any(RATE in metrics for _, metrics in every) else "auc"
    every = [(attack, metrics) for attack, metrics in every if metric in metrics]
    attack, metrics = max(every, key=lambda found: found[1][metric].over_pairs.value)
    return attack, metrics[metric], metric


def gain_on(one: Compared, other: Compared) -> tuple[str, str, Found]:
    """Return how much less is found of one family than of another, by the strongest adaptive attack on either.

    Returns:
        The attack on the first and the metric, and the difference, pair by pair: above 0 where less is found of it.
    """
    (attack, rates, metric), (_, theirs, their_metric) = _strongest(one), _strongest(other)
    if their_metric != metric:  # labels alone resolve no rate: compare the areas of the gap attack
        rates, theirs = (family.by_adversary["any"][GAP]["auc"] for family in (one, other))
        attack, metric = GAP, "auc"
    both = sorted(set(theirs.of_pairs) & set(rates.of_pairs))
    more = {draw: theirs.of_pairs[draw] - rates.of_pairs[draw] for draw in both}
    return attack, metric, Found(more, theirs.change_of_record(rates))


def _better(one: Compared, other: Compared, its_name: str) -> str:
    """Whether less is found of one family than of another, by how much."""
    gain = gain_on(one, other)[2].over_pairs
    is_decided = gain.lower > 0 or gain.upper < 0
    verdict = "undecided" if not is_decided else "yes" if gain.value > 0 else "no"
    return (
        f"Better than {its_name} at test accuracy {other.family.test_accuracy.mean():.3f}: {verdict}, by "
        f"{gain.value:+.3f} [{gain.lower:+.3f}, {gain.upper:+.3f}]."
    )


def _better_than_private(one: Compared, private: Mapping[str, Compared], epsilons: Mapping[str, float]) -> str:
    """Whether less is found than of the models under DP-SGD whose test accuracy is the most like its own."""
    if not private:
        return ""
    own = one.family.test_accuracy.mean()
    differences = {name: other.family.test_accuracy.mean() - own for name, other in private.items()}
    name = min(differences, key=lambda other: abs(differences[other]))
    said = _better(one, private[name], f"weakly private DP-SGD ({name}, epsilon {epsilons[name]:.3g})")
    unlike = f" Its test accuracy differs by {differences[name]:+.3f}." if abs(differences[name]) > _LIKE else ""
    return f" {said}{unlike}"


def _rising(one: Compared) -> str:
    """How many records' risk rises, and by how much; nothing where no half of the models can choose."""
    of_ratio = one.by_adversary["adaptive"].get(RATIO, {})
    share = of_ratio.get(SHARE_RISING)
    if share is None or share.influence is None:
        return ""
    value, n = share.over_pairs.value, share.influence.size
    half = half_width(share.influence, one.family.subjects)
    if not value - half > 0:
        return f" The risk of no record is seen to rise by {RISE:g} or more."
    said = (
        f" The risk of {value:.1%} [{value - half:.1%}, {value + half:.1%}] of the records ({round(value * n):,} of "
        f"{n:,}) rises by {RISE:g} or more"
    )
    risk = of_ratio.get(RISK_OF_RISING)
    if risk is None or risk.before is None:
        return said + "."
    more = risk.more_than(risk.before)
    return (
        f"{said}; that of the records chosen for it by half of the models rises by {more.value:.3f} "
        f"[{more.lower:.3f}, {more.upper:.3f}] for the other half."
    )
