"""The glossary has the words that the page, the terminal and the tables use."""

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

from vestige.auditing.policy import METRICS
from vestige.core.result import FindingState, Status, Validity
from vestige.core.signal import ACCESS, KNOWLEDGE
from vestige.report.wording import sentence_case

ROOT = Path(__file__).parents[2]
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
TEMPLATE = (files("vestige.report") / "template.html.j2").read_text(encoding="utf-8")
ALARMS = json.loads((ROOT / "tests/evaluation/preflight/false_alarms.json").read_text(encoding="utf-8"))
EXPLAINED = re.findall(r"<dt>([^<{]+)</dt>", TEMPLATE.partition('id="reading"')[2].partition("</dl>")[0])
SENTENCES = {"Why low rates matter", "Reference models", "Attacker"}
"""Headings of the page that are no terms."""


@pytest.mark.parametrize("word", [word for word in EXPLAINED if word not in SENTENCES])
def test_terms_that_the_page_explains_are_there(word):
    assert f"**{word}**" in GLOSSARY


def test_the_page_explains_some():
    assert len(EXPLAINED) >= 3


@pytest.mark.parametrize("word", [*FindingState, *Validity])
def test_the_answers_are_there(word):
    assert f"**{word}" in GLOSSARY


@pytest.mark.parametrize("word", [*Status, *ACCESS, *METRICS])
def test_words_of_the_results_table_are_there(word):
    known = re.sub(r"(_at_prior|_at_fpr)_[\d.]+", r"\1_", word)
    assert f"`{known}" in GLOSSARY


@pytest.mark.parametrize("word", KNOWLEDGE)
def test_words_of_knowledge_are_there(word):
    assert word in GLOSSARY


@pytest.mark.parametrize(
    "name", sorted({name.partition(":")[0] for row in ALARMS for name in row["flagged_per_check"]})
)
def test_checks_are_there(name):
    assert f"| {sentence_case(name)} |" in GLOSSARY


def test_terms_stand_in_order():
    terms = re.findall(r"^- \*\*([^*]+)\*\*", GLOSSARY, re.MULTILINE)
    assert terms == sorted(terms, key=lambda term: term.lower().replace("-", " "))
    assert len(set(terms)) == len(terms)
