"""Files of loads: what is read is what was written, and what is wrong is named."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.errors import InvalidParameterError
from cluster_runtime.serverless.scaling.demand import Demand
from cluster_runtime.serverless.simulator.scenarios import SCENARIOS
from cluster_runtime.serverless.simulator.traces import Sample, Trace, read_trace, write_trace


def written(folder: Path, text: str, name: str = "load.jsonl") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_recording_begins_at_its_first_sample(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        '{"at": 1000, "cpu_cores": 0.1, "capacity_acu": 0.5}\n\n'
        '{"at": 1060, "cpu_cores": 1, "connections": 3, "capacity_acu": 4}\n',
    )
    trace = read_trace(path)
    assert trace.name == "load"
    assert [sample.at for sample in trace.samples] == [0, 60]
    assert trace.samples[1].demand == Demand(cpu_cores=1, connections=3)
    assert trace.seconds == 120
    assert trace.recorded_acu_hours == pytest.approx((0.5 + 4) * 60 / 3600)


def test_a_sample_that_used_up_its_capacity_is_counted(tmp_path: Path) -> None:
    lines = [f'{{"at": {n}, "cpu_cores": {n / 8}, "capacity_acu": 0.5}}' for n in range(2)]
    lines.append('{"at": 2, "capacity_acu": 0}')  # it paused
    assert read_trace(written(tmp_path, "\n".join(lines))).full_samples == 1


def test_a_table_is_read_by_the_names_in_its_first_line(tmp_path: Path) -> None:
    path = written(tmp_path, "at,cpu_cores,connections\n0,0.5,2\n1,,\n", "load.csv")
    trace = read_trace(path)
    assert [sample.demand for sample in trace.samples] == [
        Demand(cpu_cores=0.5, connections=2),
        Demand(),
    ]
    assert trace.recorded_acu_hours is None


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_a_known_load_is_the_same_after_a_file(name: str, tmp_path: Path) -> None:
    trace = SCENARIOS[name].load()
    assert read_trace(written(tmp_path, write_trace(trace), f"{name}.jsonl")) == trace


numbers = st.floats(0, 1e12)
samples = st.builds(
    Sample,
    st.just(0.0),
    st.builds(Demand, numbers, numbers, numbers, numbers, numbers, st.integers(0, 10**6)),
    st.one_of(st.none(), st.floats(0, 256)),
)


@given(
    st.lists(st.tuples(samples, st.floats(0.01, 6e4)), min_size=1, max_size=10), st.none() | numbers
)
def test_what_is_written_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[Sample, float]],
    work: float | None,
) -> None:
    at, moved = 0.0, []
    for sample, seconds in rows:
        moved.append(Sample(at, sample.demand, sample.capacity_acu))
        at += seconds
    trace = Trace("load", tuple(moved), at, work)
    assert read_trace(written(tmp_path_factory.mktemp("trace"), write_trace(trace))) == trace


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no sample"),
        ('{"trace": 1, "seconds": 10}\n', "no sample"),
        ("[]", "line 1 is no JSON object"),
        ('{"at": 0}\n{"at"', "line 2 is no JSON object"),
        ('{"cpu_cores": 1}', "line 1 has no 'at'"),
        ('{"at": 0}\n{"at": 0}', "line 2: at is 0"),
        ('{"at": 5}\n{"at": 4}', "line 2: at is 4"),
        ('{"at": 0, "cpu": 1}', "line 1: 'cpu' is no field of a trace; there are at, cpu_cores"),
        ('{"at": 0, "cpu_cores": -1}', "cpu_cores is -1"),
        ('{"at": 0, "cpu_cores": NaN}', "cpu_cores is nan"),
        ('{"at": 0, "cpu_cores": Infinity}', "cpu_cores is inf"),
        ('{"at": 0, "cpu_cores": 1e400}', "cpu_cores is inf"),
        ('{"at": 0, "cpu_cores": null}', "cpu_cores is None"),
        ('{"at": 0, "cpu_cores": true}', "cpu_cores is True"),
        ('{"at": 0, "cpu_cores": "many"}', "cpu_cores is 'many'"),
        ('{"trace": 2}\n{"at": 0}', "format 2; this release reads format 1"),
        ('{"trace": 1, "second": 2}\n{"at": 0}', "'second' is no field"),
        ('{"at": 0}\n{"at": 1000000}', "takes 2e+06 s"),
        ('{"trace": 1, "seconds": 1e400}\n{"at": 0}', "seconds is inf"),
        ('{"trace": 1, "seconds": 1}\n{"at": 0}\n{"at": 2}', "it must end later"),
    ],
)
def test_a_file_that_is_no_trace_says_where_it_is_wrong(
    text: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidParameterError) as raised:
        read_trace(written(tmp_path, text))
    assert says in str(raised.value)
    assert "load" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("at,cpu\n0,1\n", "'cpu' is no field"),
        ("at,cpu_cores\n0,1,2\n", "'more columns than names' is no field"),
        ("cpu_cores\n1\n", "no 'at'"),
        ("at\n", "no sample"),
    ],
)
def test_a_table_that_is_no_trace_says_where_it_is_wrong(
    text: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidParameterError, match=says):
        read_trace(written(tmp_path, text, "load.csv"))


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe")
    for name in ("bytes.jsonl", "missing.jsonl", "."):
        with pytest.raises(InvalidParameterError, match="cannot be read"):
            read_trace(tmp_path / name)
