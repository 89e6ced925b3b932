import io
from dataclasses import replace

import pandas as pd
import pytest
from rich.console import Console

from vestige.core.result import Check, FindingState, Preflight, Validity
from vestige.report.terminal import print_result
from vestige.report.wording import AFTER_LEAK, listing

PAGE = "runs/clinic/report.html"


def printed(result, page=PAGE, terminal=False, *, verbose=False):
    file = io.StringIO()
    console = Console(file=file, width=80, force_terminal=terminal, color_system="standard" if terminal else None)
    print_result(result, console, page, verbose=verbose)
    return file.getvalue()


@pytest.mark.parametrize("name", ["rich", "minimal", "many_classes"])
def test_it_fits_80_columns_of_plain_text(name, request):
    text = printed(request.getfixturevalue(name))
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text
    assert not set(text) & set("│┃─━┏┓")


def test_it_tells_the_three_answers(rich):
    text = " ".join(printed(rich).split())
    assert "Validity LIMITED: 12 records" in text
    assert f"Adversary {rich.adversary.sentence}" in text
    assert f"Finding LEAK SHOWN: {rich.finding.sentence}" in text


def test_after_a_leak_it_says_what_to_do(rich):
    confounded = Check("blind_inputs", Validity.CONFOUNDED, "Inputs tell.")
    checked = replace(rich, preflight=Preflight((*rich.preflight.checks, confounded)))
    others = [checked] + [
        replace(rich, finding=replace(rich.finding, state=state))
        for state in (FindingState.NO_LEAK_SHOWN, FindingState.UNDECIDED)
    ]
    assert f"Remedy {AFTER_LEAK}" in " ".join(printed(rich).split())
    assert not any("Remedy" in printed(other) for other in others)


def test_a_bound_is_named(rich):
    finding = replace(rich.finding, state=FindingState.NO_LEAK_SHOWN)
    assert "NO LEAK SHOWN ABOVE 8.9%: An attacker" in " ".join(printed(replace(rich, finding=finding)).split())


def test_a_row_holds_the_numbers_of_its_attack(rich):
    line = next(line for line in printed(rich).splitlines() if line.startswith("modified_entropy"))
    assert line.split() == ["modified_entropy", "0.726", ".712–.740", "7.0", "5.2–8.7", "66.2", "64.9–67.5"]


def test_a_rate_that_no_attack_resolves_has_no_column(rich):
    assert "at FPR 0.1%" not in printed(rich)


def test_attacks_with_the_same_numbers_share_a_row(rich):
    twin = rich.results[rich.results["attack"] == "loss"].assign(attack="twin")
    lines = printed(replace(rich, results=pd.concat([rich.results, twin]))).splitlines()
    (line,) = [line for line in lines if "twin" in line]
    assert "loss" in line


def test_the_page_is_named_last_and_never_broken(rich):
    long = "runs/" + "x" * 120 + "/report.html"
    assert printed(rich, long).splitlines()[-1] == f"Page: {long}"
    assert "Page:" not in printed(rich, None)


def test_what_was_not_run_is_told(rich):
    short, whole = printed(rich), printed(rich, verbose=True)
    assert "Not run: lira_online, boundary_distance; what each needs" in short
    assert "needs reference models" not in short
    assert "Not run: lira_online (needs reference models)." in whole
    assert "Not run: boundary_distance (needs" in whole


def test_what_each_attack_sees_and_knows_is_told(rich):
    text = " ".join(printed(rich, verbose=True).split())
    assert len(rich.threat_models) > 1
    assert "Threat models: " in text
    for model in rich.threat_models:
        assert model.attack in text.partition("Threat models: ")[2]
    first = rich.threat_models[0]
    assert f"(sees {first.interface}; knows {listing(list(first.knowledge))})" in text


def test_text_is_never_read_as_markup(rich):
    adversary = replace(rich.adversary, sentence="It knows [red]everything[/red] [/].")
    assert "[red]everything[/red] [/]." in printed(replace(rich, adversary=adversary))


def test_colour_is_for_terminals(rich):
    assert "\x1b[" in printed(rich, terminal=True)


def test_nothing_is_called_safe(rich, minimal):
    for result in (rich, minimal):
        assert "safe" not in printed(result).lower()


def test_how_many_records_were_read_is_said():
    import io

    import numpy as np
    from rich.console import Console

    from vestige import Predictions, audit
    from vestige.core.outputs import Loss
    from vestige.report.terminal import print_result

    result = audit(Predictions(Loss(np.arange(1234) / 7), np.arange(1234) % 2, np.arange(1234) < 600))
    out = io.StringIO()
    print_result(result, Console(file=out, width=100), None)
    assert "Records given: 1,234." in out.getvalue()
