"""How many threads torch takes for a small student."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread: fastest for a tiny student, and its sums come out the same wherever they are made."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def threads_for(student: str) -> AbstractContextManager[None]:
    """One thread for the tiny student, the whole machine for another."""
    return one_thread() if student == "tiny" else nullcontext()
