"""What can be computed from shown groups of several columns concerns nobody or enough people."""

from itertools import permutations, product

import numpy as np
import pytest

from vestige import Options, Predictions, audit
from vestige.auditing.results.differences import Column, hidden_groups
from vestige.core.outputs import Logits
from vestige.core.result import Status

K = 10


def columns_of(member: np.ndarray, *codes: np.ndarray, of_record: np.ndarray | None = None) -> list[Column]:
    found = []
    for own in codes:
        sides = []
        for side in (member, ~member):
            who = np.flatnonzero(side) if of_record is None else of_record[side]
            pairs = np.unique(np.stack([who, own[side]]), axis=1)[1]
            sides.append(np.bincount(pairs, minlength=int(own.max()) + 1))
        found.append(Column(own, sides[0], sides[1]))
    return found


def smallest_sum(
    member: np.ndarray, codes: list[np.ndarray], hidden: list[np.ndarray], factors: tuple[int, ...]
) -> int:
    """Fewest units of a side that any sum with these factors concerns, by looking at all of them."""
    parts = [np.where(h, h.size, np.arange(h.size))[own] for own, h in zip(codes, hidden, strict=True)]
    vectors = [own == part for own in parts for part in np.unique(own)[1:]] + [np.ones(member.size, bool)]
    cells, _, counts = np.unique(np.stack([*vectors, member]), axis=1, return_inverse=True, return_counts=True)
    is_member = cells[-1].astype(bool)
    fewest = member.size
    for chosen in product(factors, repeat=len(vectors)):
        concerned = np.asarray(chosen) @ cells[:-1].astype(int) != 0
        # The same cell of the other side is concerned by the same sum.
        if counts[concerned].sum():
            sides = [counts[concerned & side].sum() for side in (is_member, ~is_member)]
            fewest = min(fewest, *sides)
    return int(fewest)


def nested(rng: np.random.Generator, n: int) -> list[np.ndarray]:
    """Two columns of which the second is the first, merged, but for a few people."""
    ward = rng.integers(0, 4, n)
    region = np.array([0, 0, 1, 2])[ward]
    moved = rng.choice(n, 5, replace=False)
    region[moved] = rng.integers(0, 3, 5)
    return [ward, region]


@pytest.mark.parametrize("seed", range(12))
def test_no_sum_over_two_columns_concerns_a_few(seed):
    rng = np.random.default_rng(seed)
    n = 400
    codes = nested(rng, n) if seed % 2 else [rng.integers(0, 4, n), rng.integers(0, 3, n)]
    member = rng.permutation(n) < n // 2
    none = [np.zeros(own.max() + 1, bool) for own in codes]
    hidden = hidden_groups(columns_of(member, *codes), member, None, K)
    if smallest_sum(member, codes, none, (-1, 0, 1, 2)) >= K:
        assert not any(h.any() for h in hidden)  # nothing is hidden without need
    else:
        assert any(h.any() for h in hidden)
    assert smallest_sum(member, codes, hidden, (-1, 0, 1, 2)) >= K


def three(rng: np.random.Generator, n: int) -> list[np.ndarray]:
    """Every two of the columns overlap widely; one group is the sum of those of two others, plus three people."""
    a, b = rng.integers(0, 3, n) == 0, rng.integers(0, 3, n) == 1
    b &= ~a
    c = a | b
    c[rng.choice(np.flatnonzero(~c), 3, replace=False)] = True
    return [1 * a, 1 * b, 1 * c]


@pytest.mark.parametrize("seed", range(6))
def test_a_sum_over_three_columns_is_found(seed):
    rng = np.random.default_rng(seed)
    n = 400
    codes = three(rng, n)
    member = rng.permutation(n) < n // 2
    for one, other in ((0, 1), (0, 2), (1, 2)):
        pair = [codes[one], codes[other]]
        assert not any(h.any() for h in hidden_groups(columns_of(member, *pair), member, None, K))
    hidden = hidden_groups(columns_of(member, *codes), member, None, K)
    assert any(h.any() for h in hidden)
    assert smallest_sum(member, codes, hidden, (-1, 0, 1)) >= K


def test_names_and_their_order_change_nothing():
    rng = np.random.default_rng(5)
    n = 400
    member = rng.permutation(n) < n // 2
    ward, region = nested(np.random.default_rng(1), n)
    shown = set()
    for names in permutations(range(4)):
        for order in (1, -1):
            codes = [np.array(names)[ward], region][::order]
            hidden = hidden_groups(columns_of(member, *codes), member, None, K)[::order]
            shown.add((tuple(hidden[0][list(names)].tolist()), tuple(hidden[1].tolist())))
    assert len(shown) == 1


def test_groups_that_are_the_same_hide_nothing():
    rng = np.random.default_rng(0)
    ward = rng.integers(0, 4, 400)
    member = rng.permutation(400) < 200
    hidden = hidden_groups(columns_of(member, ward, 3 - ward), member, None, K)
    assert not any(h.any() for h in hidden)


def test_people_count_once_however_many_records_they_have():
    n_people, each = 80, 6
    of_record = np.repeat(np.arange(n_people), each)
    member = of_record < 40
    ward = (of_record % 40 < 20).astype(int)
    other = ward.copy()
    other[np.isin(of_record, [3, 43, 44])] = 0  # 18 records, three people
    columns = columns_of(member, ward, other, of_record=of_record)
    assert any(h.any() for h in hidden_groups(columns, member, of_record, K))


def ward_and_more(column_names: tuple[str, str]) -> Predictions:
    rng = np.random.default_rng(0)
    n = 240
    ward = np.where(np.arange(n) % 120 < 50, "a", "b")
    study = ward.copy()
    study[[60, 61, 180]] = "a"  # the ward, and three people
    member = np.arange(n) < 120
    groups = dict(zip(column_names, (ward, study), strict=True))
    return Predictions(Logits(rng.normal(size=(n, 2))), rng.integers(0, 2, n), member, groups=groups)


@pytest.mark.parametrize("names", [("ward", "study"), ("z", "a")])
def test_a_ward_and_the_ward_plus_three_people_are_not_shown_together(names):
    result = audit(ward_and_more(names))
    shown = result.results[result.results.status == Status.OK].group.unique()
    assert len({name.split("=")[0] for name in shown if "=" in name} - {"class"}) == 1
    hidden = result.results[(result.results.status == Status.SUPPRESSED) & result.results.group.str.contains("=")]
    assert hidden.definition.str.contains("difference of groups").all()
    everything = audit(ward_and_more(names), options=Options(min_cell=0)).results
    assert {f"{names[0]}=a", f"{names[1]}=a"} <= set(everything[everything.status == Status.OK].group)


def test_fewer_units_than_a_cell_hide_everything_and_end():
    member = np.arange(24) // 2 % 2 == 1
    people = np.arange(24) // 2
    columns = [
        Column(
            codes, *(np.array([np.unique(people[m & (codes == g)]).size for g in range(3)]) for m in (member, ~member))
        )
        for codes in (np.arange(24) % 3, np.arange(24) // 8)
    ]
    assert [hidden.all() for hidden in hidden_groups(columns, member, people, 10)] == [True, True]


def test_groups_in_which_nobody_can_be_compared_count_as_hidden():
    """Their rows show nothing, but their people are in the groups of other columns."""
    member, ward = np.arange(120) % 2 == 0, np.arange(120) // 40
    other = np.where(np.arange(120) < 43, 0, 1)  # ward 0 and three more
    sizes = [np.bincount(ward[m], minlength=3) for m in (member, ~member)]
    shown = Column(other, *(np.bincount(other[m], minlength=2) for m in (member, ~member)))
    for empty in (0, 1, 2):
        counts = [np.where(np.arange(3) == empty, 0, size) for size in sizes]
        hidden = hidden_groups([Column(ward, *counts), shown], member, None, 10)
        assert hidden[0][empty]
        assert hidden[1].all() or hidden[0].sum() >= 2
