"""Label-only attacks: each probe asks what the attacks that it serves read, and plays them."""

from collections.abc import Sequence
from dataclasses import replace

from vestige.auditing.label_only.probe import Probe, served
from vestige.auditing.label_only.question import LabelQuestion, LabelResults
from vestige.auditing.played import together


def label_results(probes: Sequence[Probe], question: LabelQuestion) -> LabelResults:
    """Ask what the wanted attacks read, each of the first probe that can serve it.

    Args:
        probes: What is asked, each kind once.
        question: Who is asked about which records, and for which attacks.

    Raises:
        InputError: A kind does not fit the inputs.
        TargetError: A model does not answer.
        BudgetError: The target's budget is spent.
    """
    found = [
        probe.play(replace(question, wanted={name: question.wanted[name] for name in names}))
        for probe, names in served(probes, question.wanted)
    ]
    return LabelResults(
        attacks=together(one.attacks for one in found),
        copies={name: copies for one in found for name, copies in one.copies.items()},
        is_in=None if question.shadows is None else question.shadows.member,
    )
