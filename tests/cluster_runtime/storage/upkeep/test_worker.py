"""What is done regularly for a volume: one job that fails keeps no other from being done."""

import threading

import pytest

from cluster_runtime.engine.template import Template
from cluster_runtime.errors import StorageError
from cluster_runtime.storage.upkeep import upkeep as upkeep_module
from cluster_runtime.storage.upkeep.worker import Jobs, Worker
from cluster_runtime.storage.volume import StorageVolume


@pytest.mark.parametrize("error", [OSError("no disk"), StorageError("rot"), ValueError("a fault")])
def test_one_that_fails_keeps_no_other_from_being_done_and_is_told_once(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []
    failing = [error]

    def fails() -> None:
        if failing:
            raise failing[-1]

    jobs = Jobs(lambda: done.append("before"), fails, lambda: done.append("after"))
    jobs.do()
    jobs.do()
    assert done == ["before", "after"] * 2
    assert len(caplog.records) == 1
    failing.append(OSError("another"))
    jobs.do()
    assert len(caplog.records) == 2
    failing.clear()
    jobs.do()
    failing.append(error)
    jobs.do()
    assert len(caplog.records) == 3, "it went well between"


def test_a_worker_goes_on_whatever_its_work_raises(caplog: pytest.LogCaptureFixture) -> None:
    done = threading.Event()
    worker = Worker("test")
    worker.start()

    def fails() -> None:
        raise ValueError("a fault")

    worker.put(fails)
    worker.put(done.set)
    assert done.wait(10.0)
    worker.close()
    assert [each.levelname for each in caplog.records] == ["ERROR"]


def test_the_upkeep_of_a_volume_goes_on_where_one_of_its_jobs_fails(
    volume: StorageVolume, template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    upkeep, expired = volume._upkeep, threading.Event()

    def fails(*_: object) -> None:
        raise OSError("no disk")

    monkeypatch.setattr(type(upkeep.coalescing), "look", fails)
    monkeypatch.setattr(type(upkeep.past), "expire", lambda past: expired.set())
    monkeypatch.setattr(type(upkeep.pages), "keep_base", fails)
    volume.close()
    monkeypatch.setattr(upkeep_module, "LOOK_EVERY_S", 0.01)
    again = StorageVolume.open(volume.directory, template.directory, user=template.user)
    try:
        assert expired.wait(30.0)
    finally:
        again.close()
