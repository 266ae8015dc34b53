"""Connections and caches as Aurora's User Guide has them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.serverless.scaling.limits import (
    PAGE_BYTES,
    effective_cache_bytes,
    max_connections,
    shared_buffers_bytes,
)
from cluster_runtime.serverless.scaling.units import GIB


@pytest.mark.parametrize(
    ("maximum", "connections"),
    [(1, 189), (4, 823), (8, 1669), (16, 3360), (32, 5000), (64, 5000), (128, 5000), (256, 5000)],
)
def test_max_connections_are_those_of_the_table(maximum: float, connections: int) -> None:
    assert max_connections(1, maximum) == connections


def test_with_a_small_minimum_there_are_at_most_two_thousand() -> None:
    assert max_connections(0, 128) == max_connections(0.5, 128) == 2000
    assert max_connections(0, 8) == 1669
    assert max_connections(0.5, 1) == 189


@pytest.mark.parametrize(
    ("acu", "pages"), [(0.5, 16_384), (2, 16_384), (8, 1_425_408), (12.5, 2_211_840)]
)
def test_shared_buffers_are_those_of_the_example(acu: float, pages: int) -> None:
    assert shared_buffers_bytes(acu) == pages * PAGE_BYTES


@given(st.integers(1, 512))
def test_caches_grow_with_the_capacity_and_fit_into_it(steps: int) -> None:
    acu = steps / 2
    assert shared_buffers_bytes(acu) <= shared_buffers_bytes(acu + 0.5)
    assert shared_buffers_bytes(acu) < acu * 2 * GIB
    assert 0 < effective_cache_bytes(acu) < max(acu, 1) * 2 * GIB


@pytest.mark.parametrize("between", [(2, 1), (0, math.nan), (0.2, 8), (0, 0)])
def test_a_range_that_is_none_is_refused(between: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="ACU"):
        max_connections(*between)
