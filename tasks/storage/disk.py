"""A full disk, by whichever library notices it first."""

from __future__ import annotations

import errno
import re

# NumPy, safetensors, SQLite and Arrow each have words of their own for it, and not all raise an OSError with a number.
_FULL = re.compile(
    r"no space left on device|disk quota exceeded|database or disk is full|\b\d+ requested and \d+ written",
    re.I,
)


def is_full(error: BaseException | None) -> bool:
    """Whether an error, or what it was raised from, says that there is no room left to write."""
    seen = 0
    while error is not None and seen < 20:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if _FULL.search(str(error)):
            return True
        error, seen = error.__cause__ or error.__context__, seen + 1
    return False
