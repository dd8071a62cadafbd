"""Pairs that share records on one page (a HIT): a worker who reads k records answers every pair among them.

To cover all pairs with the fewest pages is NP-hard; this is the greedy two-tier way of CrowdER (Wang et al., VLDB 2012):
what hangs together in more than k records is cut into pieces of k that hold as many pairs as they can, then small pieces are packed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush, heapreplace

import numpy as np

from tasks.records import BadInput

Graph = dict[int, set[int]]


def pages(left: np.ndarray, right: np.ndarray, most: int) -> list[list[int]]:
    """Pages of records such that both records of every pair stand on one of them.

    Args:
        left, right: records of each pair, int64 (q,).
        most: records on a page, at least 2.

    Returns:
        The records of each page, sorted.
    """
    if most < 2:
        raise BadInput(f"pages of {most} records: a pair needs two")
    graph: Graph = defaultdict(set)
    for one, other in zip(left.tolist(), right.tolist(), strict=True):
        graph[one].add(other)
        graph[other].add(one)
    return _packed(_pieces(graph, most), most)


def page_of(left: np.ndarray, right: np.ndarray, made: Sequence[Sequence[int]]) -> np.ndarray:
    """The first page that holds each pair, int64 (q,)."""
    places: dict[int, set[int]] = defaultdict(set)
    for number, records in enumerate(made):
        for record in records:
            places[record].add(number)
    return np.array(
        [min(places[one] & places[other]) for one, other in zip(left.tolist(), right.tolist(), strict=True)],
        dtype=np.int64,
    )


def _pieces(graph: Graph, most: int) -> list[list[int]]:
    """Groups of at most `most` records that hold every edge; a component that is small enough is one."""
    found = []
    for component in _components(graph):
        if len(component) <= most:
            found.append(component)
            continue
        rest = {one: set(graph[one]) for one in component}
        heap = [(-len(rest[one]), one) for one in component]
        heapify(heap)
        partners = _Partners(rest)
        while rest:
            piece = _grown(rest, _fullest(rest, heap), most, partners)
            found.append(sorted(piece))
            for one in piece:
                rest[one] -= piece
            for one in [one for one in piece if not rest[one]]:
                del rest[one]
            partners.change(one for one in piece if one in rest)
    return found


def _components(graph: Graph) -> list[list[int]]:
    seen: set[int] = set()
    found = []
    for start in sorted(graph):
        if start in seen:
            continue
        component, waiting = [], [start]
        seen.add(start)
        while waiting:
            one = waiting.pop()
            component.append(one)
            fresh = graph[one] - seen
            seen |= fresh
            waiting.extend(fresh)
        found.append(sorted(component))
    return found


def _fullest(rest: Graph, heap: list[tuple[int, int]]) -> int:
    """The record with most open pairs, of such the first.

    Args:
        heap: (-open pairs, record) of all that are left, as they were once: pairs only become fewer, so that an entry which still holds
            is before all others.
    """
    while True:
        count, one = heap[0]
        if one not in rest:
            heappop(heap)
        elif (now := -len(rest[one])) != count:
            heapreplace(heap, (now, one))
        else:
            return one


class _Partners:
    """Of records that pieces begin with: their partners, those with the fewest open pairs first, of such the first.

    One record may begin very many pieces: what changed since the last is made good, instead of looking at all its partners again.

    Args:
        rest: open pairs of all records.
    """

    def __init__(self, rest: Graph) -> None:
        self._rest = rest
        self._heaps: dict[int, list[tuple[int, int]]] = {}
        self._seen: dict[int, int] = {}  # how many of the changes a heap knows of
        self._changes: list[int] = []

    def change(self, records: Iterable[int]) -> None:
        """These have fewer open pairs now."""
        self._changes.extend(records)

    def heap(self, one: int) -> list[tuple[int, int]]:
        """(open pairs, record) of all partners as they are; other entries, which do not hold any more, are among them."""
        partners, seen = self._rest[one], self._seen.get(one)
        if seen is None or len(self._changes) - seen > len(partners):
            self._heaps[one] = [(len(self._rest[other]), other) for other in partners]
            heapify(self._heaps[one])
        else:
            for other in partners.intersection(self._changes[seen:]):
                heappush(self._heaps[one], (len(self._rest[other]), other))
        self._seen[one] = len(self._changes)
        return self._heaps[one]

    def holds(self, one: int, entry: tuple[int, int]) -> bool:
        """Whether an entry of the heap of a record still holds."""
        count, other = entry
        return other in self._rest[one] and len(self._rest[other]) == count


def _grown(rest: Graph, start: int, most: int, partners: _Partners) -> set[int]:
    """From a record on the one that has most pairs into the piece, and of such fewest out of it."""
    piece = {start}
    inside: dict[int, int] = {}  # pairs into the piece of what others than the start reach
    heap, reached = partners.heap(start), []  # what the start alone reaches is in its heap, and has one
    while len(piece) < most:
        while heap and (heap[0][1] in piece or heap[0][1] in inside or not partners.holds(start, heap[0])):
            entry = heappop(heap)
            if entry[1] in inside:
                reached.append(entry)
        keys = [(-count, len(rest[one]) - count, one) for one, count in inside.items()]
        keys += [(-1, count - 1, one) for count, one in heap[:1]]
        if not keys:
            break
        best = min(keys)[2]
        piece.add(best)
        inside.pop(best, None)
        for other in rest[best] - piece:
            inside[other] = inside.get(other, int(other in rest[start])) + 1
    for entry in reached:
        heappush(heap, entry)
    return piece


def _packed(pieces: Sequence[list[int]], most: int) -> list[list[int]]:
    """Pieces on pages, the largest first, each on the fullest page that has room for it."""
    free: list[list[int]] = [[] for _ in range(most + 1)]  # pages by how many more records they take
    made: list[list[int]] = []
    for piece in sorted(pieces, key=len, reverse=True):
        room = next((room for room in range(len(piece), most + 1) if free[room]), None)
        if room is None:
            page, room = len(made), most
            made.append([])
        else:
            page = free[room].pop()
        made[page].extend(piece)
        free[room - len(piece)].append(page)
    return [sorted(set(page)) for page in made]
