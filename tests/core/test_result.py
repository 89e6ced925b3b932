from vestige.core.result import Finding, FindingState


def _finding(state: FindingState, tpr_ub: float) -> Finding:
    return Finding(
        state=state,
        sentence="Words.",
        fpr=0.01,
        tpr=0.01,
        tpr_lb=0.0,
        tpr_ub=tpr_ub,
        p_value=0.5,
        smallest_visible_tpr=0.05,
        n_needed=0,
    )


def test_a_finding_without_a_leak_names_its_bound():
    assert _finding(FindingState.NO_LEAK_SHOWN, 0.0312).answer == "NO LEAK SHOWN ABOVE 3.1%"
    assert _finding(FindingState.UNDECIDED, 0.5).answer == "UNDECIDED"
    assert str(_finding(FindingState.UNDECIDED, 0.5)) == "UNDECIDED: Words."
