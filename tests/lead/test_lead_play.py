"""What the bandit is told of a round."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.lead.play import reward
from tasks.select.exp3 import Exp3


def test_a_cluster_is_rewarded_by_what_each_of_its_tokens_brought() -> None:
    bandit, is_open = Exp3(3, gamma=0.3), np.ones(3, bool)
    owners, gained, tokens = np.array([2, 0, 0]), np.array([2.0, 1.0, 3.0]), np.array([4, 1, 1])
    found = reward(bandit, owners, gained, tokens, np.array([2, 0, 1]), is_open)
    assert found == {0: (2.0, 1.0), 2: (0.5, -1.0)}
    # Once for each draw: gamma / K x reward / probability is 0.1 x 3.
    assert bandit.weights == pytest.approx([0.6, 0.0, -0.3])
