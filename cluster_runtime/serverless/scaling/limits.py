"""What a cluster may hold, by its range of capacity: connections, and sizes of caches.

Source: Aurora User Guide, "Performance and scaling for Aurora serverless": the table of
`max_connections`, what its example shows of `shared_buffers`, and which parameters follow the
maximum. `max_connections` follows the maximum, not the current capacity, so that no connection is
dropped when an instance shrinks; it takes effect with the next start.
"""

from cluster_runtime.serverless.scaling.units import LEAST_RUNNING_ACU, check_range

PAGE_BYTES = 8192

CONNECTIONS = ((1.0, 189), (4.0, 823), (8.0, 1669), (16.0, 3360), (23.76, 5000))
"""Maximum ACU and Aurora PostgreSQL's default. The table goes on with 5,000 for 32 and more; the
last pair here is where the line through the ones before reaches it."""

CONNECTIONS_OF_A_SMALL_MINIMUM = 2000
"""The most with a minimum of 0 or 0.5 ACU."""

SHARED_BUFFERS = ((0.5, 16_384), (2.0, 16_384), (8.0, 1_425_408), (12.5, 2_211_840))
"""Current ACU and pages, as the guide's example shows them; linear between and beyond."""

BYTES_OF_A_CONNECTION = 9_531_392
CACHE_DIVISOR, CACHE_LESS_PAGES = 12_038, 50_003
"""Default of `effective_cache_size`: SUM({DBInstanceClassMemory/12038}, -50003) pages."""


def max_connections(minimum: float, maximum: float) -> int:
    """Default of `max_connections` for a range in ACU. Raises ValueError for one that is none."""
    check_range(minimum, maximum)
    found = int(_between(CONNECTIONS, max(maximum, CONNECTIONS[0][0])))
    if maximum >= CONNECTIONS[-1][0]:
        found = CONNECTIONS[-1][1]
    return min(found, CONNECTIONS_OF_A_SMALL_MINIMUM) if minimum <= LEAST_RUNNING_ACU else found


def shared_buffers_bytes(current: float) -> int:
    """What Aurora gives shared buffers at this capacity in ACU, 0.5 and more."""
    return int(_between(SHARED_BUFFERS, max(current, LEAST_RUNNING_ACU))) * PAGE_BYTES


def effective_cache_bytes(maximum: float) -> int:
    """Default of `effective_cache_size` for this maximum in ACU."""
    memory = _between(CONNECTIONS[:-1], max(maximum, CONNECTIONS[0][0])) * BYTES_OF_A_CONNECTION
    return int(memory / CACHE_DIVISOR - CACHE_LESS_PAGES) * PAGE_BYTES


def _between(points: tuple[tuple[float, int], ...], x: float) -> float:
    """On the line through the two points around x; beyond the last one, on the last line."""
    inner = (each for each in range(1, len(points) - 1) if x <= points[each][0])
    right = next(inner, len(points) - 1)
    (x0, y0), (x1, y1) = points[right - 1], points[right]
    return y0 + (x - x0) * (y1 - y0) / (x1 - x0)
