"""Two audits as `auditing` would hand them over: a rich one, and the least that can be."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from vestige.core.curves import RocBand, ScoreHistogram
from vestige.core.result import (
    RESULT_DTYPES,
    Adversary,
    AuditResult,
    Check,
    Finding,
    FindingState,
    NotRun,
    Power,
    Preflight,
    Provenance,
    Queries,
    RiskSummary,
    Spread,
    ThreatModel,
    Validity,
)

NAN = math.nan
FPRS = (0.1, 0.01, 0.001, 0.0001)
STRENGTH = {
    "correctness": 0.35,
    "loss": 0.80,
    "confidence": 0.80,
    "max_confidence": 0.45,
    "entropy": 0.50,
    "modified_entropy": 0.85,
}
CLASSES = ("cat & dog", "<script>alert(1)</script>", "plain")
N = 3000
N_NEEDED = {0.001: 10_000, 0.0001: 100_000}


def _phi(x):
    return 0.5 * (1 + math.erf(x / math.sqrt(2)))


def _quantile(p):
    low, high = -9.0, 9.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _phi(middle) < p else (low, middle)
    return low


def _tpr(fpr, strength):
    return _phi(_quantile(fpr) + strength)


class Table:
    """Rows of a results table, with the columns that are the same everywhere filled in."""

    def __init__(self, n_members, n_nonmembers, **constant):
        self.rows = []
        self.constant = dict.fromkeys(RESULT_DTYPES, "") | {
            "group": "all",
            "unit": "subject",
            "lower": NAN,
            "upper": NAN,
            "n_members": n_members,
            "n_nonmembers": n_nonmembers,
            "false_positives": None,
            "status": "ok",
            "target": "target",
            "defence": "none",
            "access": "confidence",
            "n_queries": 1,
            "n_references": 0,
        }
        self.constant |= constant

    def add(self, attack, threshold, metric, value, half=None, **columns):
        row = self.constant | {"attack": attack, "threshold": threshold, "metric": metric, "value": value}
        if half is not None:
            row |= {"lower": max(0.0, value - half), "upper": min(1.0, value + half)}
        self.rows.append(row | columns)

    def frame(self):
        return pd.DataFrame(self.rows, columns=list(RESULT_DTYPES)).astype(dict(RESULT_DTYPES))


def _roc_rows(table, attack, strength, wide=1.0):
    table.add(attack, "roc", "auc", _phi(strength / math.sqrt(2)), 0.014 * wide, definition="Mann-Whitney, ties half")
    for fpr in FPRS:
        metric, value, count = f"tpr_at_fpr_{fpr}", _tpr(fpr, strength), int(fpr * N)
        if fpr in N_NEEDED:
            definition = f"TPR at FPR {fpr}; 10 expected false positives need {N_NEEDED[fpr]:,} nonmembers"
            table.add(
                attack,
                "roc",
                metric,
                value,
                false_positives=count,
                status="not_resolvable",
                definition=definition,
            )
        else:
            table.add(
                attack,
                "roc",
                metric,
                value,
                0.25 * value * wide,
                false_positives=count,
                definition="largest TPR with FPR at most this",
            )


def _point_rows(table, attack, rule, fpr, tpr, half=0.013):
    table.add(
        attack, rule, "balanced_accuracy", (1 + tpr - fpr) / 2, half, definition="mean of TPR and 1 - FPR, score >= t"
    )
    table.add(attack, rule, "fpr", fpr, half, false_positives=int(fpr * N))
    table.add(attack, rule, "tpr" if "_fpr_" in rule else "recall", tpr, half)
    for prior in (0.5, 0.1, 0.01):
        metric = f"precision_at_prior_{prior}"
        if tpr == 0:
            table.add(attack, rule, metric, NAN, status="undefined", definition="nobody is accused")
        else:
            table.add(attack, rule, metric, prior * tpr / (prior * tpr + (1 - prior) * fpr), half)


def _threshold_rows(table, attack, strength, source):
    for rule, shift in (("global", 0.35), ("per_class", 0.2), ("strict", 0.4)):
        point = -strength / 2 + shift
        _point_rows(table, attack, f"{source}_{rule}", _phi(point), _phi(point + strength))
    for fpr in (0.1, 0.01, 0.001):
        realised = fpr * 1.2
        nobody = attack == "correctness" and fpr < 0.1
        tpr = 0.0 if nobody else _tpr(realised, strength)
        _point_rows(table, attack, f"{source}_fpr_{fpr}", 0.0 if nobody else realised, tpr)
    table.add(attack, "oracle", "balanced_accuracy", _phi(strength / 2), definition="optimistic")
    table.add(attack, "oracle", "p_value", 0.0004, definition="two-sample Kolmogorov-Smirnov")


def _group_rows(table, classes):
    for i, name in enumerate(classes):
        n = N // len(classes)
        for attack, strength in STRENGTH.items():
            value = _phi(strength * (0.7 + 0.3 * i / max(1, len(classes) - 1)) / math.sqrt(2))
            table.add(attack, "roc", "auc", value, 0.03, group=f"class={name}", n_members=n, n_nonmembers=n)
            table.add(
                attack,
                "roc",
                "tpr_at_fpr_0.01",
                0.021,
                group=f"class={name}",
                n_members=n,
                n_nonmembers=n,
                status="not_resolvable",
                definition="10 expected false positives need 1,000 nonmembers in this class",
            )
    for group, value in (("sex=f", 0.74), ("sex=m", 0.71), ("age=<30", 0.77), ("age=30-60", 0.72)):
        for attack in STRENGTH:
            table.add(attack, "roc", "auc", value, 0.02, group=group, n_members=1500, n_nonmembers=1500)
    for attack in STRENGTH:
        table.add(
            attack,
            "roc",
            "auc",
            NAN,
            group="age=>90",
            n_members=None,
            n_nonmembers=None,
            status="suppressed",
            definition="hidden: fewer than 10 units on a side, or needed to hide such a group",
        )
    table.add("worst", "roc", "auc", 0.735, 0.05, group="worst_class", definition="simultaneous")
    table.add("worst", "roc", "auc", 0.77, 0.06, group="worst_group", definition="simultaneous")


def _worst_rows(table):
    _roc_rows(table, "worst", STRENGTH["modified_entropy"], wide=1.4)
    table.add("worst", "roc", "p_value", 0.001, definition="permutation of the maximum over attacks")
    table.add("worst", "any", "balanced_accuracy", 0.671, 0.02, definition="simultaneous over attacks and thresholds")


def _roc(attack, strength):
    if attack == "correctness":
        return RocBand(
            attack=attack, fpr=(0.0, 0.4, 1.0), tpr=(0.0, 0.54, 1.0), lower=(0.0, 0.52, 1.0), upper=(0.01, 0.56, 1.0)
        )
    fpr = np.unique(np.r_[0, np.geomspace(1 / N, 1, 400)])
    tpr = np.array([_tpr(x, strength) if 0 < x < 1 else x for x in fpr])
    half = np.where(fpr * N >= 10, 2 * np.sqrt(np.maximum(tpr * (1 - tpr), 1e-9) / N), np.nan)
    return RocBand(
        attack=attack,
        fpr=tuple(fpr.tolist()),
        tpr=tuple(tpr.tolist()),
        lower=tuple(np.clip(tpr - half, 0, 1).tolist()),
        upper=tuple(np.clip(tpr + half, 0, 1).tolist()),
        best_fpr=0.3,
        best_tpr=_tpr(0.3, strength),
    )


def _risk():
    levels = np.linspace(0, 1, 101)
    cdf = np.where(levels < 0.05, np.nan, levels**1.8)
    bins = np.linspace(0.05, 0.95, 10)
    return RiskSummary(
        prior=0.5,
        source="shadow",
        cdf_risk=tuple(levels.tolist()),
        cdf_members=tuple(cdf.tolist()),
        bin_risk=tuple(bins.tolist()),
        bin_member_fraction=tuple((bins + 0.04 * np.sin(9 * bins)).tolist()),
        rmse=0.0311,
        rmse_weighted=0.0274,
        thresholds=(1.0, 0.9, 0.8, 0.7, 0.6, 0.5),
        precision=(NAN, 0.893, 0.812, 0.745, 0.688, 0.633),
        recall=(0.0, 0.031, 0.112, 0.264, 0.471, 0.702),
    )


CHECKS = (
    Check(
        "blind_inputs",
        Validity.VALID,
        "A classifier that sees only the inputs tells members from nonmembers with AUC 0.503 (95 % 0.489-0.517).",
    ),
    Check(
        "blind_labels",
        Validity.VALID,
        "Labels alone tell members from nonmembers with AUC 0.499 (95 % 0.485-0.513).",
    ),
    Check("duplicates", Validity.VALID, "No input appears on both sides."),
    Check(
        "subjects_on_both_sides",
        Validity.LIMITED,
        "12 records of 4 subjects were left out because the subject is on both sides.",
        "Split by subject, so that nobody is on both sides.",
    ),
    Check("sizes", Validity.VALID, "3,000 members and 3,000 nonmembers."),
    Check("inverted_scores", Validity.VALID, "No attack is significantly worse than guessing."),
)


def _provenance():
    return Provenance(
        vestige_version="0.1.0",
        versions={"python": "3.11.9", "numpy": "2.3.1", "scipy": "1.16.0"},
        seed=20260101,
        created="2026-11-21T10:30:00+00:00",
        target_digest="ab" * 32,
        shadow_digest="cd" * 32,
        reference_digest="ef" * 32,
        n_records=6012,
        n_left_out=12,
        options={"arithmetic": "float64", "subject_score": "mean", "smallest_cell": "10"},
        definitions={
            "threshold rule": "A record is called a member if its score is at or above the threshold (>=).",
            "interval": "95 %, for this model over subjects; training randomness is not included.",
            "subject score": "The mean of the scores of the subject's records.",
        },
    )


def _finding():
    sentence = (
        "An attacker who may wrongly accuse 1 outsider in 100 recognises 5.1-8.9% of the members; "
        "attackers with reference models were not tested."
    )
    return Finding(
        state=FindingState.LEAK_SHOWN,
        sentence=sentence,
        fpr=0.01,
        tpr=0.0698,
        tpr_lb=0.0512,
        tpr_ub=0.0893,
        p_value=0.001,
        smallest_visible_tpr=0.0212,
        n_needed=0,
    )


def make_rich(classes=CLASSES):
    table = Table(N, N)
    for attack, strength in STRENGTH.items():
        _roc_rows(table, attack, strength)
        _threshold_rows(table, attack, strength, "shadow")
    _worst_rows(table)
    _group_rows(table, classes)
    records = pd.DataFrame(
        {
            "id": ["secret-id-1", "secret-id-2"],
            "subject": ["patient-7", "patient-8"],
            "label": ["plain", "plain"],
            "member": [True, False],
            "loss": [0.25, -0.5],
            "risk": [0.9, 0.1],
        }
    )
    adversary = Adversary(
        "confidence",
        "one shadow model",
        0,
        "The attacker sees class probabilities, knows the true label and has one shadow model trained on other "
        "records. Attackers with reference models, label-only attackers and gradient attackers were not tested.",
    )
    return AuditResult(
        preflight=Preflight(CHECKS),
        adversary=adversary,
        threat_models=(
            ThreatModel(
                attack="loss",
                interface="loss",
                feature="-(cross-entropy loss)",
                knowledge=("train", "data", "label"),
                n_queries=1,
                source="Yeom et al. 2018",
            ),
            ThreatModel(
                attack="entropy",
                interface="confidence",
                feature="-(Shannon entropy)",
                knowledge=(),
                n_queries=1,
                source="Song & Mittal 2021, eq. 7",
            ),
        ),
        queries=Queries(n_sent=2032, n_kept=12, n_failed=3, most_per_record=2, price=0.5),
        finding=_finding(),
        results=table.frame(),
        records=records,
        rocs=tuple(_roc(attack, strength) for attack, strength in STRENGTH.items()),
        histograms=(
            ScoreHistogram(attack="loss", edges=(-1.0, 0.5), members=(900, 1000, 1100), nonmembers=(1100, 1000, 900)),
            ScoreHistogram(
                attack="modified_entropy", edges=(-1.0, 0.5), members=(800, 900, 1300), nonmembers=(1300, 900, 800)
            ),
        ),
        targets=pd.DataFrame({"model": [0, 1], "attack": ["loss"] * 2, "metric": ["auc"] * 2, "value": [0.61, 0.63]}),
        spread=(
            Spread(
                attack="loss",
                metric="auc",
                n_targets=2,
                mean=0.62,
                lower=NAN,
                upper=NAN,
                std=0.0141,
                smallest=0.61,
                largest=0.63,
            ),
            Spread(
                attack="loss",
                metric="tpr_at_fpr_0.01",
                n_targets=2,
                mean=0.05,
                lower=0.04,
                upper=0.06,
                std=0.011,
                smallest=0.04,
                largest=0.06,
            ),
        ),
        power=(
            Power(attack="noise_robustness", n_queries=10, metric="auc", value=0.55, lower=0.52, upper=0.58),
            Power(attack="noise_robustness", n_queries=100, metric="auc", value=0.6, lower=0.57, upper=0.63),
            Power(
                attack="noise_robustness", n_queries=100, metric="tpr_at_fpr_0.01", value=0.02, lower=0.01, upper=0.04
            ),
        ),
        risk=_risk(),
        not_run=(NotRun("lira_online", "reference models"), NotRun("boundary_distance", "a model to query")),
        provenance=_provenance(),
    )


def make_minimal():
    table = Table(60, 60, unit="record", access="loss")
    table.add("loss", "roc", "auc", 0.52, 0.1)
    for fpr in FPRS:
        needs = f"needs {round(10 / fpr):,} nonmembers"
        table.add("loss", "roc", f"tpr_at_fpr_{fpr}", 0.03, status="not_resolvable", definition=needs)
    _point_rows(table, "loss", "known_half_global", 0.4, 0.45)
    table.add("loss", "oracle", "balanced_accuracy", 0.54)
    table.add("worst", "roc", "auc", 0.52, 0.1)
    table.add("worst", "roc", "p_value", 0.44)
    rich = make_rich()
    return replace(
        rich,
        preflight=Preflight((Check("sizes", Validity.LIMITED, "60 members and 60 nonmembers.", "Give more records."),)),
        adversary=Adversary("loss", "known half", 0, "The attacker sees the loss of each record and knows half."),
        finding=Finding(
            state=FindingState.UNDECIDED,
            sentence="Too few records to tell.",
            fpr=NAN,
            tpr=NAN,
            tpr_lb=NAN,
            tpr_ub=NAN,
            p_value=0.44,
            smallest_visible_tpr=NAN,
            n_needed=1000,
        ),
        results=table.frame(),
        rocs=(
            RocBand(
                attack="loss", fpr=(0.0, 0.5, 1.0), tpr=(0.0, 0.55, 1.0), lower=(NAN, NAN, NAN), upper=(NAN, NAN, NAN)
            ),
        ),
        risk=None,
        not_run=(NotRun("modified_entropy", "class probabilities"),),
        provenance=replace(
            rich.provenance, shadow_digest="", reference_digest="", options={}, n_records=120, n_left_out=0
        ),
    )


@pytest.fixture(scope="session")
def rich():
    return make_rich()


@pytest.fixture(scope="session")
def minimal():
    return make_minimal()


@pytest.fixture(scope="session")
def many_classes():
    """100 classes, as many rows as an ordinary audit of CIFAR-100 gives."""
    result = make_rich(tuple(f"class {i}" for i in range(100)))
    wide = pd.concat([result.results] * 8, ignore_index=True)
    return replace(result, results=wide.iloc[:10_000])
