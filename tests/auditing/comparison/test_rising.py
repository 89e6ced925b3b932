"""Whose risk rises under a defence: planted records, none, and the order of the records."""

from dataclasses import replace

import numpy as np
import pytest
from tests.auditing.comparison.test_compare import planted

from vestige.attacks.empirical_bayes import empirical_bayes_online
from vestige.auditing.comparison.family import Family
from vestige.auditing.comparison.over_records import half_width
from vestige.auditing.comparison.rising import mean_risk, rising, risks_of

N = 1_000


def moved(family: Family, by: np.ndarray, scale: float = 1.0) -> Family:
    """The same models with the phi of members higher by so much."""
    assert family.observed is not None
    phi = scale * (family.observed.shadow_phi + (family.is_in * by)[:, :, None])
    return replace(family, observed=replace(family.observed, answers={**family.observed.answers, "shadow_phi": phi}))


def test_risk_is_that_of_a_plain_loop():
    family = planted("none", 1.5, n=60)
    assert family.observed is not None
    phi, is_in = family.observed.shadow_phi[:, :, 0], family.is_in
    found = risks_of(family)
    assert found is not None
    assert found.first_half == {0, 1}
    for pair in range(4):
        half = [0, 1, 2, 3] if pair < 2 else [4, 5, 6, 7]
        others = [m for m in half if m // 2 != pair]
        beliefs = [1 / (1 + np.exp(-empirical_bayes_online(phi[m], phi[others], is_in[others]))) for m in range(8)]
        for record in range(60):
            inside, outside = sorted((2 * pair, 2 * pair + 1), key=lambda m: not is_in[m, record])
            expected = beliefs[inside][record] - beliefs[outside][record]
            assert found.of_pairs[pair][record] == pytest.approx(expected, abs=1e-12)


def test_planted_records_are_seen_to_rise():
    by, before = np.where(np.arange(N) < 100, 6.0, 0.0), planted("none", 0.0, n=N, n_models=16)
    of_before, now = risks_of(before), risks_of(moved(before, by))
    assert of_before is not None
    assert now is not None
    found = rising(now, of_before)
    assert found is not None
    half = half_width(found.share.influence, None)
    assert 0.05 < found.share.value - half < found.share.value < 0.11  # a few are no clear cases
    gains = [found.risk[pair] - found.before[pair] for pair in found.risk]
    assert min(gains) > 0.2
    fell = rising(of_before, now)
    assert fell is not None
    assert fell.share.value <= 0


def test_noise_raises_nobody_s_risk():
    """Other noise, the same leak: chosen records are as likely to fall for the other half, and the share is near 0."""
    found, gains, n_seen = [], [], 0
    for seed in range(20):
        before, now = (risks_of(planted("x", 1.0, n=N, seed=seed + more)) for more in (0, 1_000))
        assert before is not None
        assert now is not None
        rise = rising(now, before)
        assert rise is not None
        found.append(rise.share.value)
        gains += [rise.risk[pair] - rise.before[pair] for pair in rise.risk]
        n_seen += rise.share.value > half_width(rise.share.influence, None)
    assert n_seen <= 2
    for values in (found, gains):
        assert abs(np.mean(values)) < 4 * np.std(values, ddof=1) / np.sqrt(len(values))


def test_the_same_models_raise_nothing_and_a_scale_of_phi_little():
    family = planted("none", 1.0, n=N)
    own, scaled = risks_of(family), risks_of(moved(family, np.zeros(N), scale=0.5))
    assert own is not None
    assert scaled is not None
    same = rising(own, own)
    assert same is not None
    assert (same.share.value, same.risk) == (0.0, {})
    assert np.mean(list(mean_risk(scaled)[0].values())) == pytest.approx(
        np.mean(list(mean_risk(own)[0].values())), abs=0.02
    )


def test_the_order_of_the_records_does_not_matter():
    order = np.random.default_rng(1).permutation(N)
    shares = []
    for rows in (np.arange(N), order):
        risks = []
        for family in (planted("none", 0.5, n=N), moved(planted("none", 0.5, n=N), np.arange(N) / 250)):
            assert family.observed is not None
            answers = {
                name: v[:, rows] for name, v in family.observed.answers.items() if name in ("shadow_phi", "is_in")
            }
            observed = replace(family.observed, answers={**family.observed.answers, **answers})
            risks.append(risks_of(replace(family, is_in=family.is_in[:, rows], observed=observed)))
        assert risks[0] is not None
        assert risks[1] is not None
        found = rising(risks[1], risks[0])
        assert found is not None
        shares.append((found.share.value, half_width(found.share.influence, None)))
    assert shares[0] == pytest.approx(shares[1], rel=1e-9)


def test_few_models_and_labels_alone_tell_no_risk():
    assert risks_of(planted("none", 1.0, n=60, n_models=6)) is None
    assert risks_of(replace(planted("none", 1.0, n=60), observed=None)) is None
