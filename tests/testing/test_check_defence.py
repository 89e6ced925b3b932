"""`check_defence`: ours keep the laws, and each law catches the fault that it is for."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from vestige.core.answer_defence import table_of
from vestige.core.errors import InputError
from vestige.core.outputs import Probabilities
from vestige.defences import LabelsOnly, MemGuard, Rounded, StrongestMemGuard, Temperature, TopK
from vestige.testing import BrokenLawError, check_defence

OURS = (LabelsOnly(), MemGuard(), Rounded(2), StrongestMemGuard(), Temperature(3.0), TopK(2), Temperature(1.0), TopK(5))


@pytest.mark.parametrize("defence", OURS, ids=lambda d: str(d)[:40])
def test_ours_keep_the_laws(defence):
    report = check_defence(defence)
    assert report.labels_changed == 0
    assert report.defence in str(report)


@dataclass(frozen=True)
class Broken:
    """Breaks a law."""

    law: str
    keeps_labels: ClassVar[bool] = True

    def __call__(self, answers: Any) -> Any:
        p = table_of(answers)
        if self.law == "answers":
            return Probabilities(p * 2)
        if self.law == "one by one":
            return Probabilities((p + p.mean(axis=0)) / 2)
        if self.law == "asked twice":
            return Probabilities(np.random.default_rng().dirichlet(np.ones(p.shape[1]), size=len(p)) * 1e-3 + p * 0.999)
        if self.law == "inputs unchanged":
            answers.whole()[:] = 0
        if self.law == "labels":
            return Probabilities(p[:, ::-1].copy())
        if self.law == "certain answers":
            with np.errstate(all="ignore"):
                return Probabilities(
                    np.exp(np.log(p) - np.log(1 - p)) / (np.exp(np.log(p) - np.log(1 - p))).sum(axis=1, keepdims=True)
                )
        return Probabilities(p)

    def identity(self) -> Any:
        return {"x": object()} if self.law == "identity" else {"x": 1}


LAWS = ("answers", "one by one", "asked twice", "inputs unchanged", "labels", "certain answers", "identity")


@pytest.mark.parametrize("law", LAWS)
def test_each_law_catches_its_fault(law):
    with pytest.raises(BrokenLawError) as caught:
        check_defence(Broken(law))
    assert caught.value.law in ({"one by one", "asked twice"} if law == "asked twice" else {law})


def test_what_is_no_defence_is_refused():
    wrong: Any = Rounded  # the class, for a defence
    with pytest.raises(InputError, match="Expected a defence of answers, found type"):
        check_defence(wrong)
