"""Which failed resumes are told as events."""

from cluster_runtime.serverless.resume import TELL_AGAIN_S, FailedResumes


def test_a_failure_is_told_once_and_another_one_at_once() -> None:
    failures = FailedResumes()
    assert failures.failed("the disk is full", 0)
    assert not failures.failed("the disk is full", 1)
    assert failures.failed("a segment is lost", 2)
    assert failures.failed("the disk is full", 3)


def test_one_that_lasts_is_told_again_after_a_while() -> None:
    failures = FailedResumes()
    assert failures.failed("the disk is full", 10)
    assert not failures.failed("the disk is full", 10 + TELL_AGAIN_S - 1)
    assert failures.failed("the disk is full", 10 + TELL_AGAIN_S)


def test_the_same_failure_is_news_after_a_resume_that_succeeded() -> None:
    failures = FailedResumes()
    assert failures.failed("the disk is full", 0)
    failures.succeeded()
    assert failures.failed("the disk is full", 1)
