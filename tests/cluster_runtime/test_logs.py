"""Events with fields, written as logfmt to the standard library's logging."""

import logging
import subprocess
import sys

import pytest

from cluster_runtime.logs import get_logger


def test_an_event_has_its_fields_and_those_bound_before(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    get_logger("some.place").bind(peer="::1").info("connection opened", user="ada l", tls=True)
    (record,) = caplog.records
    assert record.getMessage() == 'event="connection opened" peer=::1 user="ada l" tls=true'
    assert (record.name, record.levelname) == ("some.place", "INFO")


def test_what_a_field_holds_never_formats_or_breaks_a_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    get_logger("some.place").error("%s %d", value="100%s\n2 = x")
    (record,) = caplog.records
    assert record.getMessage() == 'event="%s %d" value="100%s\\n2 = x"'


def test_an_exception_comes_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        get_logger("some.place").exception("it failed")
    assert "Traceback" in caplog.text
    assert "ValueError: broken" in caplog.text


def test_a_field_may_be_bound_again_and_the_first_logger_keeps_its_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = get_logger("some.place").bind(user="ada")
    second = first.bind(user="bob")
    second.warning("hello")
    first.warning("hello")
    assert [record.getMessage()[-8:] for record in caplog.records] == ["user=bob", "user=ada"]


def test_what_nobody_reads_is_not_even_written() -> None:
    code = (
        "import sys; from cluster_runtime.logs import get_logger;"
        "log = get_logger('x'); log.debug('a', b=1); log.info('a'); assert 'structlog' not in "
        "sys.modules; log.warning('seen'); assert 'structlog' in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "event=seen\n"
