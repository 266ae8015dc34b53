"""The log of a host: JSON lines, rotated, its owner's alone, without secrets."""

import json
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cluster_runtime import Runtime
from cluster_runtime.control.records.options import RuntimeOptions
from cluster_runtime.host.log_file import (
    LOG,
    follow_lines,
    last_lines,
    logging_to_file,
)
from cluster_runtime.host.log_limits import BYTES_VARIABLE, FILES_VARIABLE, LogLimits
from cluster_runtime.host.serving import serving
from cluster_runtime.logs import get_logger
from tests.hosts import end_hosts

LIMITS = LogLimits()
log = get_logger("cluster_runtime.somewhere")


def lines(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in last_lines(directory, 1000)]


def test_a_line_has_the_event_and_its_fields_and_those_of_others_have_their_text(
    tmp_path: Path,
) -> None:
    with logging_to_file(tmp_path, LIMITS):
        log.bind(peer="::1").info("connection opened", tls=True, level="x", of=Path("/a"))
        log.debug("not of interest")
        logging.getLogger("of.others").warning("two %s\nlines", "short")
        try:
            raise ValueError("broken")
        except ValueError:
            log.exception("it failed")
    log.info("after the end")
    first, second, third = lines(tmp_path)
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "info",
        "logger": "cluster_runtime.somewhere",
        "event": "connection opened",
        "peer": "::1",
        "tls": True,
        "of": "/a",
    }
    assert (second["level"], second["event"]) == ("warning", "two short\nlines")
    assert third["event"] == "it failed"
    assert "ValueError: broken" in third["exception"]


def test_only_its_owner_can_read_it_also_after_a_rotation(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with logging_to_file(tmp_path, LogLimits(200, 3)):
            for number in range(20):
                log.info("something", number=number)
    finally:
        os.umask(before)
    files = sorted(each.name for each in (tmp_path / LOG).parent.iterdir())
    assert files == ["host.log", "host.log.1", "host.log.2"]
    for each in (tmp_path / LOG).parent.iterdir():
        assert stat.S_IMODE(each.stat().st_mode) == 0o600
        assert each.stat().st_size <= 200
    assert stat.S_IMODE((tmp_path / LOG).parent.stat().st_mode) == 0o700
    told = [each["number"] for each in lines(tmp_path)]
    assert told == list(range(20))[-len(told) :]
    assert [json.loads(each)["number"] for each in last_lines(tmp_path, 2)] == [18, 19]


def test_who_had_handlers_of_his_own_sees_what_he_saw_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = logging.StreamHandler()
    root = logging.getLogger()
    root.addHandler(terminal)
    try:
        with logging_to_file(tmp_path, LIMITS):
            log.info("for the file")
            log.warning("for both", cluster="notes")
    finally:
        root.removeHandler(terminal)
    assert capsys.readouterr().err == 'event="for both" cluster=notes\n'
    assert [each["event"] for each in lines(tmp_path)] == ["for the file", "for both"]
    assert logging.getLogger("cluster_runtime").level == logging.NOTSET


def test_no_secret_gets_into_it(tmp_path: Path) -> None:
    secret = "s3cr3t-value"
    with logging_to_file(tmp_path, LIMITS):
        log.info("made", password=secret, of={"SecretString": secret})
        log.info(f"reading postgresql://ada:{secret}@db/x")
        logging.getLogger("other").error("Authorization: Bearer %s", secret)
        try:
            raise ValueError(f"host=db password={secret}")
        except ValueError:
            log.exception("it failed")
    assert len(lines(tmp_path)) == 4
    assert secret not in (tmp_path / LOG).read_text()


def test_whoever_follows_it_misses_and_repeats_nothing_when_it_is_rotated(tmp_path: Path) -> None:
    with logging_to_file(tmp_path, LogLimits(400, 10)):
        log.info("something", number=0)
        following: Iterator[str] = follow_lines(tmp_path, 10, every_seconds=0)
        told = [json.loads(next(following))["number"]]
        for number in range(1, 30):
            log.info("something", number=number)
            told.append(json.loads(next(following))["number"])
    assert told == list(range(30))
    assert (tmp_path / f"{LOG}.1").exists()


def test_a_file_that_was_moved_away_is_opened_again(tmp_path: Path) -> None:
    with logging_to_file(tmp_path, LIMITS):
        log.info("before")
        (tmp_path / LOG).rename(tmp_path / "moved")
        log.info("after")
    assert [each["event"] for each in lines(tmp_path)] == ["after"]


@pytest.mark.parametrize(
    ("said", "limits"),
    [
        ({}, LogLimits(10_000_000, 5)),
        ({BYTES_VARIABLE: "5000", FILES_VARIABLE: "9"}, LogLimits(5000, 9)),
        ({BYTES_VARIABLE: "0", FILES_VARIABLE: "many"}, LogLimits(10_000_000, 5)),
    ],
)
def test_the_environment_says_how_large_it_gets(said: dict[str, str], limits: LogLimits) -> None:
    assert LogLimits.of(said) == limits


def test_nothing_is_there_to_be_read_before_a_host_was(tmp_path: Path) -> None:
    assert last_lines(tmp_path, 10) == []


def test_hosts_in_the_background_and_in_the_foreground_write_it(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BYTES_VARIABLE, "2000")
    password = "a-Stable-passw0rd"
    with Runtime.open(state_dir, host="daemon", warm_pool_size=0) as runtime:
        runtime.create_db_cluster("notes", master_user_password=password)
        runtime.modify_db_cluster("notes", reset_settings=True)
    end_hosts(state_dir.parent)
    with serving(state_dir, RuntimeOptions(warm_pool_size=0), log=LIMITS) as hosted:
        uri = hosted.handle("notes").dsn()
        token = str(psycopg.conninfo.conninfo_to_dict(uri)["password"])
        assert "Signature=" in token
        psycopg.connect(uri).close()
    told = lines(state_dir)
    assert {"host begins", "host ends", "connection opened"} <= {each["event"] for each in told}
    assert (state_dir / f"{LOG}.1").exists()
    text = "".join(each.read_text() for each in (state_dir / LOG).parent.iterdir())
    assert password not in text
    assert token.rpartition("Signature=")[2] not in text
