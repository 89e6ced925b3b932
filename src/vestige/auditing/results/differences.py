"""Which groups must be hidden because those of several columns, added and subtracted, would show a few units.

A ward and "the ward plus three people" are both large; what is shown of one, subtracted from what is shown of the
other, tells about three people. Groups of one column are parts of a whole, those of several columns overlap.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

_MOST_STARTS = 200  # groups from which differences over three columns and more are looked for
_MOST_STEPS = 12


@dataclass(frozen=True, eq=False)
class Column:
    """Groups of the units by one column.

    Attributes:
        codes: Group of each record.
        n_members: Units of each group on the members' side.
        n_nonmembers: The same on the other side.
    """

    codes: Int[np.ndarray, " record"]
    n_members: Int[np.ndarray, " group"]
    n_nonmembers: Int[np.ndarray, " group"]


Signs = dict[int, dict[int, int]]
"""By column: what its parts are multiplied with in a sum of groups; the others are left out."""


def hidden_groups(
    columns: Sequence[Column],
    member: Bool[np.ndarray, " record"],
    of_record: Int[np.ndarray, " record"] | None,
    min_cell: int,
) -> list[Bool[np.ndarray, " group"]]:
    """Return which groups of each column must be hidden.

    In every column those with fewer than `min_cell` members or nonmembers, and enough to mask them (`too_small`). And
    over columns: what is computed by adding and subtracting shown groups and the total concerns no unit, or at least
    `min_cell` members and `min_cell` nonmembers. Of two columns that holds for all sums with any factors: the smallest
    is the minimum cut of the graph whose nodes are the groups and whose edges are the units they share. Of three
    columns and more the smallest is not found by any fast algorithm that is known: there the sums are looked at that
    adding or subtracting a group at a time, always the one that leaves the fewest units, comes to. Nothing is promised
    about several audits of the same units with other columns.

    Args:
        columns: The groups.
        member: Side of each record.
        of_record: Whose record it is; None if each is a unit of its own.
        min_cell: Fewest units of a side that may be shown.

    Returns:
        For each column, True where a group must be hidden.

    Example:
        >>> member = np.arange(80) < 40
        >>> ward, others = np.arange(80) % 40 < 20, np.arange(80) % 40 < 17
        >>> columns = [
        ...     Column(1 * groups, *(np.bincount(groups[m], minlength=2) for m in (member, ~member)))
        ...     for groups in (ward, others)
        ... ]
        >>> [hidden.tolist() for hidden in hidden_groups(columns, member, None, 10)]
        [[True, True], [False, False]]
        >>> hidden_groups(columns[:1], member, None, 10)[0].tolist()
        [False, False]

    Source:
        Differencing and complementary suppression: Hundepool et al. 2012, chapter 4. Minimum cut by maximum adjacency
        ordering: Stoer & Wagner 1997; several contractions in a phase: Nagamochi & Ibaraki 1992.
    """
    hidden = [too_small(column.n_members, column.n_nonmembers, min_cell) for column in columns]
    units = np.arange(member.size) if of_record is None else of_record
    if min_cell < 1 or min(np.unique(units[side]).size for side in (member, ~member)) < min_cell:
        return hidden  # with fewer units than that in all, every group is small, and the total is no difference
    for place, column in enumerate(columns):  # people of whom none could be compared: nothing is shown of them
        inside = np.bincount(column.codes, minlength=hidden[place].size) > 0
        hidden[place] |= inside & (column.n_members + column.n_nonmembers == 0)
    weights = _weights(columns, member, of_record)
    while (signs := _smallest(columns, hidden, weights, min_cell)) is not None:
        _hide_one_of(signs, columns, hidden)
        for place, column in enumerate(columns):
            hidden[place] |= too_small(column.n_members, column.n_nonmembers, min_cell, hidden[place])
    return hidden


def too_small(
    n_members: Sequence[int] | np.ndarray,
    n_nonmembers: Sequence[int] | np.ndarray,
    min_cell: int,
    already: np.ndarray | bool = False,
) -> np.ndarray:
    """Which groups of one grouping must be hidden: those with a cell under `min_cell`, and enough to mask them.

    What is hidden can be found together by subtracting what is shown from the total, so the next smallest groups are
    hidden too, until the hidden ones together have `min_cell` units on each side. Empty groups are not hidden:
    there is no unit to disclose, and nothing to show. `already` are those that are hidden for another reason.

    Example:
        >>> too_small([3, 40, 50], [30, 30, 30], 10).tolist()
        [True, True, False]
    """
    members, nonmembers = np.asarray(n_members), np.asarray(n_nonmembers)
    smallest = np.minimum(members, nonmembers)
    empty = members + nonmembers == 0
    hidden = (smallest < min_cell) & ~empty | already
    for group in np.argsort(smallest, kind="stable"):
        if not hidden.any() or min(members[hidden].sum(), nonmembers[hidden].sum()) >= min_cell:
            break
        if not empty[group]:
            hidden[group] = True
    return np.asarray(hidden)


def _weights(
    columns: Sequence[Column], member: np.ndarray, of_record: np.ndarray | None
) -> Float[np.ndarray, "side record"]:
    """What each record counts for its side: a person with records in several cells counts for a part of one in each.

    So what a set of cells weighs is at most the number of people in it.
    """
    if of_record is None:
        return np.stack([member, ~member]).astype(np.float64)
    table = np.stack([of_record, *(column.codes for column in columns)])
    cells, where, n_records = np.unique(table, axis=1, return_inverse=True, return_counts=True)
    n_cells = np.bincount(cells[0])
    each = 1.0 / (n_cells[of_record] * n_records[where.reshape(-1)])
    return np.stack([member * each, ~member * each])


def _smallest(
    columns: Sequence[Column], hidden: Sequence[np.ndarray], weights: np.ndarray, min_cell: int
) -> Signs | None:
    """A sum of shown groups that concerns at least one, but fewer than `min_cell` units of a side; None without one.

    Hidden groups of a column are one part of it: the total less what is shown.
    """
    parts = [np.where(h, h.size, np.arange(h.size))[column.codes] for column, h in zip(columns, hidden, strict=True)]
    for one, other in combinations(range(len(columns)), 2):
        for weight in weights:
            sides = _cut(parts[one], parts[other], weight, min_cell)
            if sides is not None:
                return {one: dict.fromkeys(sides[0], 1), other: dict.fromkeys(sides[1], -1)}
    if len(columns) < 3:
        return None
    cells, where = np.unique(np.stack(parts), axis=1, return_inverse=True)
    of_cells = np.stack([np.bincount(where.reshape(-1), weights=w, minlength=cells.shape[1]) for w in weights])
    return next(_sums(cells, of_cells, min_cell), None)


# ------------------------------------------------------------------------------------- two columns


def _cut(
    first: np.ndarray, second: np.ndarray, weight: np.ndarray, min_cell: int
) -> tuple[list[int], list[int]] | None:
    """Parts of two columns whose units differ by at least one and fewer than `min_cell`."""
    edges, where = np.unique(np.stack([first, second]), axis=1, return_inverse=True)
    weights = np.bincount(where.reshape(-1), weights=weight, minlength=edges.shape[1])
    graph: dict[tuple[int, int], dict[tuple[int, int], float]] = {}
    for a, b, w in zip(*edges.tolist(), weights.tolist(), strict=True):
        graph.setdefault((0, a), {})[1, b] = w
        graph.setdefault((1, b), {})[0, a] = w
    while graph:
        component = _component(graph, next(iter(graph)))
        within = {node: graph.pop(node) for node in component}
        side = _small_cut(within, min_cell)
        if side is not None:
            return [a for column, a in side if column == 0], [b for column, b in side if column == 1]
    return None


def _component(graph: Any, start: tuple[int, int]) -> set[tuple[int, int]]:
    seen, todo = {start}, [start]
    while todo:
        for other in graph[todo.pop()]:
            if other not in seen:
                seen.add(other)
                todo.append(other)
    return seen


def _small_cut(graph: Any, below: int) -> set[tuple[int, int]] | None:
    """One side of a cut of less weight than `below` through a connected graph; None if there is none."""
    inside = {node: {node} for node in graph}  # the nodes that each one stands for
    while len(graph) > 1:
        order, reached = _adjacency_order(graph)
        if reached[-1] < below - 1e-9:
            return inside[order[-1]]
        for before, node, weight in zip(order[:-1], order[1:], reached[1:], strict=True):
            if weight >= below - 1e-9:  # no cut of less weight is between them
                _contract(graph, inside, before, node)
    return None


def _adjacency_order(graph: Any) -> tuple[list[Any], list[float]]:
    """All nodes, next always the one that weighs most together with those before it; and that weight."""
    start = next(iter(graph))
    weight = dict.fromkeys(graph, 0.0)
    queue = [(0.0, 0, start)]
    order, reached, done, n_pushed = [], [], set(), 0
    while queue:
        _, _, node = heapq.heappop(queue)
        if node in done:
            continue
        done.add(node)
        order.append(node)
        reached.append(weight[node])
        for other, w in graph[node].items():
            if other not in done:
                weight[other] += w
                n_pushed += 1
                heapq.heappush(queue, (-weight[other], n_pushed, other))
    return order, reached


def _contract(graph: Any, inside: Any, before: tuple[int, int], node: tuple[int, int]) -> None:
    """Make one of two nodes, under the name of the later one: the next pair of an order begins with it."""
    for other, w in graph.pop(before).items():
        del graph[other][before]
        if other != node:
            graph[node][other] = graph[other][node] = graph[node].get(other, 0.0) + w
    inside[node] |= inside.pop(before)


# ------------------------------------------------------------------------------------- three columns and more


def _sums(cells: np.ndarray, weights: np.ndarray, min_cell: int) -> Iterator[Signs]:
    """Sums of groups that concern fewer than `min_cell` units of a side, found from each group in turn."""
    total = np.zeros((1, cells.shape[1]), dtype=cells.dtype)  # a column of one group, which is always shown
    cells = np.concatenate([cells, total])
    starts = [(c, int(part)) for c, parts in enumerate(cells) for part in np.unique(parts)]
    sizes = [float(weights[:, cells[c] == part].sum()) for c, part in starts]
    for start in np.argsort(sizes, kind="stable")[::-1][:_MOST_STARTS]:
        for weight in weights:
            signs = _descend(cells, weights.sum(axis=0), weight, starts[start], min_cell)
            if signs is not None:
                signs.pop(len(cells) - 1, None)
                if any(len({f.get(part, 0) for part in np.unique(cells[c]).tolist()}) > 1 for c, f in signs.items()):
                    yield signs


def _descend(
    cells: np.ndarray, everybody: np.ndarray, weight: np.ndarray, start: tuple[int, int], min_cell: int
) -> Signs | None:
    signs: Signs = {start[0]: {start[1]: 1}}
    factor = (cells[start[0]] == start[1]).astype(np.int64)
    for _ in range(_MOST_STEPS):
        concerned = factor != 0
        if not everybody[concerned].any():
            return None
        size = weight[concerned].sum()
        if size < min_cell - 1e-9:
            return signs
        best, move = size, None
        for column, parts in enumerate(cells):
            for sign in (1, -1):
                change = np.where(concerned, -weight * (factor == -sign), weight)
                left = size + np.bincount(parts, weights=change)
                nobody = np.bincount(parts, weights=everybody * (factor != -sign)) + everybody[concerned].sum()
                nobody -= np.bincount(parts, weights=everybody * concerned)
                left[nobody <= 0] = np.inf  # a sum that is 0 everywhere tells nothing
                part = int(left.argmin())
                if left[part] < best - 1e-9:
                    best, move = left[part], (column, part, sign)
        if move is None:
            return None
        column, part, sign = move
        factor = factor + sign * (cells[column] == part)
        of_column = signs.setdefault(column, {})
        of_column[part] = of_column.get(part, 0) + sign
    return None


# ------------------------------------------------------------------------------------- hiding


def _hide_one_of(signs: Signs, columns: Sequence[Column], hidden: list[np.ndarray]) -> None:
    """Hide what costs the fewest units: two parts of one column that the sum tells apart, and so no longer can."""
    best: tuple[int, int, list[int]] | None = None
    for place, factors in signs.items():
        column, is_hidden = columns[place], hidden[place]
        sizes = column.n_members + column.n_nonmembers
        smallest: dict[int, tuple[int, list[int]]] = {}  # by factor, the part that costs least
        rest = is_hidden.size
        costs = [(int(sizes[i]), [i], i) for i in np.flatnonzero(~is_hidden & (sizes > 0)).tolist()]
        for cost, groups, part in [*costs, *([(0, [], rest)] if is_hidden.any() else [])]:
            factor = factors.get(part, 0)
            if factor not in smallest or cost < smallest[factor][0]:
                smallest[factor] = (cost, groups)
        cheapest = sorted(smallest.values())[:2]
        if len(cheapest) == 2 and (best is None or cheapest[0][0] + cheapest[1][0] < best[0]):
            best = (cheapest[0][0] + cheapest[1][0], place, cheapest[0][1] + cheapest[1][1])
    if best is None:
        raise AssertionError("a sum of groups tells parts of some column apart")
    hidden[best[1]][best[2]] = True
