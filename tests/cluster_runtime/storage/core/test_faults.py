"""Faults by name, and what a wrong name is told."""

import pytest

from cluster_runtime.errors import InvalidParameterError
from cluster_runtime.storage.core.faults import Fault, FaultKind, check_writer_fault, segments_of
from cluster_runtime.storage.core.types import SEGMENT_IDS, SegmentId


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("crash", Fault(FaultKind.CRASH)),
        ("partition", Fault(FaultKind.PARTITION)),
        ("slow:20", Fault(FaultKind.SLOW, 20)),
        ("drop:2.5", Fault(FaultKind.DROP, 2.5)),
        ("corrupt", Fault(FaultKind.CORRUPT)),
        ("disk-full", Fault(FaultKind.DISK_FULL)),
    ],
)
def test_every_kind_of_fault_has_a_name(text: str, fault: Fault) -> None:
    assert Fault.parse(text) == fault
    assert str(fault) == text


@pytest.mark.parametrize("text", ["", "slow", "slow:", "slow:x", "slow:-1", "drop:101", "crash:1"])
def test_a_fault_that_there_is_not_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameterError, match="use crash, partition"):
        Fault.parse(text)


def test_a_zone_means_its_two_segments_and_a_place_its_present_segment() -> None:
    known = (SegmentId("a1.2"), *SEGMENT_IDS[1:])
    assert segments_of("az:a", known) == ("a1.2", "a2")
    assert segments_of("segment:a1", known) == ("a1.2",)
    assert segments_of("segment:a1.2", known) == ("a1.2",)


@pytest.mark.parametrize("target", ["az:d", "segment:d1", "a1", "reader", "segment:", ""])
def test_a_target_that_there_is_not_is_refused_with_those_that_are(target: str) -> None:
    with pytest.raises(InvalidParameterError, match="segment:<a1, a2"):
        segments_of(target, SEGMENT_IDS)


def test_the_writer_cannot_be_corrupted() -> None:
    with pytest.raises(InvalidParameterError, match="crash, partition or slow"):
        check_writer_fault(Fault(FaultKind.CORRUPT))
