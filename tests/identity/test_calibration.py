from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3fd.identity.calibration import threshold_at


@given(
    st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=200),
    st.floats(0.005, 0.995),
)
def test_no_more_than_the_rate_reaches_the_threshold_and_not_one_less(
    values: list[float], rate: float
) -> None:
    scores = np.array(values, np.float32)
    try:
        threshold = threshold_at(scores, rate)
    except ValueError:
        assert rate * len(scores) < 1
        return
    accepted = (scores >= threshold).sum()
    assert accepted <= rate * len(scores) + 1e-6
    lower = scores[scores < threshold]
    if len(lower):  # one more score, with all that equal it, would be too many
        assert (scores >= lower.max()).sum() > np.floor(rate * len(scores))


@pytest.mark.parametrize("rate", [0, 1, -0.1, 2])
def test_a_rate_lies_between_0_and_1(rate: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        threshold_at(np.zeros(1000, np.float32), rate)


def test_too_few_comparisons_are_refused() -> None:
    with pytest.raises(ValueError, match="needs at least 100 comparisons, not 99"):
        threshold_at(np.zeros(99, np.float32), 0.01)
