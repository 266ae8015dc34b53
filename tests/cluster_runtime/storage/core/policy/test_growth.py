"""Growth, as a model far past this machine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.errors import InsufficientStorageError
from cluster_runtime.storage.core.policy.growth import (
    GIB,
    VOLUME_MAX_BYTES,
    allocated_storage_gib,
    protection_groups,
    read_ios,
    write_ios,
)

sizes = st.integers(0, VOLUME_MAX_BYTES)


@pytest.mark.parametrize(
    ("size", "groups"),
    [
        (0, 1),
        (1, 1),
        (10 * GIB, 1),
        (10 * GIB + 1, 2),
        (1024 * GIB, 103),
        (VOLUME_MAX_BYTES, 26_215),
    ],
)
def test_a_protection_group_is_added_for_every_ten_gibibytes(size: int, groups: int) -> None:
    assert protection_groups(size) == groups


def test_a_volume_ends_at_256_tebibytes() -> None:
    with pytest.raises(InsufficientStorageError, match="at most 256 TiB"):
        protection_groups(VOLUME_MAX_BYTES + 1)


@given(sizes, sizes)
def test_a_larger_database_never_takes_fewer_groups(one: int, other: int) -> None:
    assert protection_groups(max(one, other)) >= protection_groups(min(one, other))


@given(sizes)
def test_allocated_storage_is_enough_and_not_a_gibibyte_too_much(size: int) -> None:
    allocated = allocated_storage_gib(size) * GIB
    assert size <= allocated < size + GIB or size == 0


@given(st.integers(1, 1 << 30))
def test_io_is_counted_in_whole_units_of_each_operation(size: int) -> None:
    assert (write_ios(size) - 1) * 4096 < size <= write_ios(size) * 4096
    assert (read_ios(size) - 1) * 8192 < size <= read_ios(size) * 8192
