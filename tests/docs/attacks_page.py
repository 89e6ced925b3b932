"""Every attack on one page: `docs/attacks.md`, from the catalogue and the attacks' docstrings.

`python -m tests.docs.attacks_page` writes it anew; a test holds both together.
"""

import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from vestige.attacks import CATALOGUE, Attack
from vestige.cli.attacks import queries
from vestige.core.likelihood_ratio import LikelihoodRatio
from vestige.core.signal import Family

PAGE = Path(__file__).parents[2] / "docs" / "attacks.md"

_FAMILIES = (
    (
        "On the model's answers",
        "One answer about each record is enough, and no model is trained.",
    ),
    (
        "With shadow models",
        "The adversary trains models as the audited one was trained, on records that are known (`shadow models`), and "
        "compares. IN models were trained on the record, OUT models were not. Any attack on the model's answers also "
        "has a form that subtracts what OUT models score: `--attack calibrated_NAME`.",
    ),
    (
        "By labels of changed copies",
        "The model is asked about changed copies of each record. All but `white_box_distance` see predicted labels "
        "only.",
    ),
    (
        "Learning from known members",
        "The adversary knows some members and nonmembers, or nonmembers alone, and learns from these. Such attacks are "
        "not in `all`: name them with `--attack`.",
    ),
)
_KNOWN = {
    "train": "how the model was trained",
    "data": "more records like these",
    "label": "the true classes",
    "model": "the model's parameters",
    "members": "the membership of some records",
}
_TRAINING = {
    "no": "",
    "yes": ", and the training of shadow models",
    "for a threshold": ", and the training of a shadow model where a threshold is wanted",
}
_HEAD = """# Every attack on one page

An attack gives each record a score; **higher means more likely a member**. `vestige attacks` lists the same attacks.
Which one to take: [Choose](choosing.md). How much each finds: [How much attacks find](power.md). Who the adversary is:
[Threat models](threat-models.md). This page is written from the catalogue and the docstrings by
`python -m tests.docs.attacks_page`; a test holds them together.

**Access** is the weakest that allows the attack: `label` (the predicted class), `loss` (the probability of the true
class), `confidence` (the probabilities of all classes) or `gradients` (the parameters). **Queries** are about one
record, at the usual settings; d is a shift in pixels. An attack with **shadow models** costs their training too, which
is most of the time: `vestige plan` says how long. *For a threshold*: a shadow model sets one, without which
`settled_boundary_distance` cannot end a search; the other attacks rank records without it.

## Signs of the formulas

| sign | meaning |
| --- | --- |
| x, y | a record and its true class |
| p_i, p_y | what the model answers: the probability of class i, of the true class |
| phi | log(p_y / (1 - p_y)), the logit-scaled confidence in the true class |
| IN, OUT | shadow models that were trained on the record, and that were not |
| N(phi; mu, sigma^2) | density of a normal distribution |
| t(phi; m, s, f) | density of Student's t about m, of scale s, with f degrees of freedom |
| d(x) | L2 distance from x to the nearest input found that gets another class |
| P(member \\| ...) | what a classifier answers that learnt from records of known membership |
"""


def page() -> str:
    """Return the page."""
    families: list[list[Attack]] = [[] for _ in _FAMILIES]
    for attack in CATALOGUE:
        families[_family(attack)].append(attack)
    lines = [_HEAD, "## Overview", "", *_overview(), ""]
    for (title, said), attacks in zip(_FAMILIES, families, strict=True):
        lines += [f"## {title}", "", *_wrapped(said), ""]
        for attack in attacks:
            lines += [*_about(attack), ""]
    return "\n".join(lines).rstrip() + "\n"


def _family(attack: Attack) -> int:
    return 3 if attack.learns else 2 if attack.asks_copies else 1 if attack.needs_references else 0


def _overview() -> Iterator[str]:
    yield "| attack | access | shadow models | queries | in `all` |"
    yield "| --- | --- | --- | --- | --- |"
    for attack in CATALOGUE:
        link, among_all = f"[{attack.name}](#{attack.name})", "no" if attack.learns else "yes"
        yield f"| {link} | {attack.access} | {_shadow_models(attack)} | {queries(attack)} | {among_all} |"


def _shadow_models(attack: Attack) -> str:
    """Whether it reads what other models answered, or only its threshold is set on one."""
    if attack.learns or "train" not in attack.knowledge:
        return "no"
    read_by_scores = any("train" in s.knowledge and s.family is not Family.COPIES for s in attack.signals)
    return "yes" if read_by_scores or attack.calibrates else "for a threshold"


def _about(attack: Attack) -> Iterator[str]:
    doc = inspect.getdoc(attack.score) or ""
    yield from (f"### {attack.name}", "", *_wrapped(_as_text(_section(doc, "Idea"))), "")
    yield from ("```text", *_section(doc, "Formula").splitlines(), "```", "")
    known = [_KNOWN[word] for word in attack.knowledge]
    yield from _item("Needs", attack.needs)
    yield from _item(
        "Access", f"`{attack.access}`." + (f" The adversary also knows {_listed(known)}." if known else "")
    )
    asked = queries(attack)
    cost = f"{asked} {'query' if asked == '1' else 'queries'} a record"
    yield from _item("Cost", cost + _TRAINING[_shadow_models(attack)])
    options = _options(attack)
    if options:
        yield from _item("Options", options)
    yield from _item("Source", _as_text(_section(doc, "Source")))


def _options(attack: Attack) -> str:
    if "statistic" in attack.reads:
        fields = LikelihoodRatio().as_text().items()
        return "`LikelihoodRatio`: " + ", ".join(f"`{name} = {value}`" for name, value in fields)
    numbers = {k: v for k, v in attack.defaults.items() if isinstance(v, int | float)}
    return ", ".join(f"`{name} = {value:g}`" for name, value in numbers.items())


def _section(doc: str, name: str) -> str:
    """Text below a heading of a docstring."""
    found = re.search(rf"^{name}:\n((?:[ ]{{4}}.*\n?|\n)+)", doc, re.MULTILINE)
    assert found, name
    return textwrap.dedent(found[1]).strip()


def _as_text(text: str) -> str:
    return re.sub(r"https?://[^\s,;]+[^\s,;:.]", r"<\g<0>>", " ".join(text.split()))


def _item(name: str, text: str) -> list[str]:
    return textwrap.wrap(f"- **{name}:** {text}", 120, subsequent_indent="  ", break_long_words=False)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 120, break_long_words=False)


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
