"""Loads over time: what a file of them says, and what a recording of a live cluster is.

A trace is a text file, one JSON object per line (`.jsonl`), or a table (`.csv`) whose first line
has the names:

    {"at": 0, "cpu_cores": 0.1, "memory_bytes": 400e6, "connections": 3}
    {"at": 1, "cpu_cores": 1.9, "memory_bytes": 410e6, "connections": 8, "capacity_acu": 8}

`at` is in seconds, and grows; the other names are those of `Demand`, 0 where they are missing.
`capacity_acu` is what was in force when it was recorded, which a replay is compared with. Each
sample holds until the next one; the last one as long as the one before it. `cpu_cores` are cores of
platform version 2; a version that performs better needs fewer for the same.

A first line `{"trace": 1, "seconds": 1800, "work_core_seconds": 9000}` says how long the load is
looked at, and makes it one of clients that wait (`Trace`). Both names may be left out.
"""

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from cluster_runtime.errors import InvalidParameterError
from cluster_runtime.serverless.scaling.demand import Demand
from cluster_runtime.serverless.scaling.policy import FULL
from cluster_runtime.serverless.scaling.units import ACU

FORMAT = 1
HEADER = ("trace", "seconds", "work_core_seconds")
NAMES = ("at", *(each.name for each in fields(Demand)), "capacity_acu")
SAMPLES_MAX = 200_000
SECONDS_MAX = 7 * 24 * 3600
"""A longer recording is to be cut: it is looked at four times a second."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What is asked for from `at` on, in seconds since the beginning of the trace.

    demand: its `cpu_cores` are what work would use if it had all it asks for; of a recording, what
        it did use. capacity_acu: in force when this was recorded; None where nobody says.
    """

    at: float
    demand: Demand
    capacity_acu: float | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """A load. seconds: how long it is looked at.

    work_core_seconds: None for a load that comes whether or not the load before it was served
        (what cannot be served at once waits). Otherwise clients that wait for each answer: they
        keep at most `cpu_cores` busy until they have done so much work together, counted in
        seconds of a core of platform version 2; after that there is nothing to do.
    """

    name: str
    samples: tuple[Sample, ...]
    seconds: float
    work_core_seconds: float | None = None

    def __post_init__(self) -> None:
        if not self.samples:
            raise InvalidParameterError(f"trace {self.name!r} has no sample; it needs one at least")
        if not self.samples[-1].at < self.seconds < math.inf:
            raise InvalidParameterError(
                f"trace {self.name!r} ends at {self.seconds:g} s, and its last sample is at "
                f"{self.samples[-1].at:g}; it must end later"
            )
        if self.seconds > SECONDS_MAX:
            raise InvalidParameterError(
                f"trace {self.name!r} takes {self.seconds:g} s; at most a week can be simulated"
            )

    @property
    def full_samples(self) -> int:
        """In how many the recorded capacity was used up, so that more may have been wanted."""
        return sum(_was_full(each) for each in self.samples)

    @property
    def recorded_acu_hours(self) -> float | None:
        """What the recorded capacity comes to; None where a sample does not say it."""
        total = 0.0
        for sample, seconds in self.spans():
            if sample.capacity_acu is None:
                return None
            total += sample.capacity_acu * seconds
        return total / 3600

    def spans(self) -> Iterator[tuple[Sample, float]]:
        """Each sample, and for how many seconds it holds."""
        for index, sample in enumerate(self.samples):
            last = index + 1 == len(self.samples)
            until = self.seconds if last else self.samples[index + 1].at
            yield sample, until - sample.at


def _was_full(sample: Sample) -> bool:
    capacity = sample.capacity_acu
    if not capacity:
        return False
    return sample.demand.cpu_cores >= FULL * capacity * ACU.cores


def read_trace(path: Path) -> Trace:
    """The trace in a file. Raises InvalidParameterError that names the file, line and field."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidParameterError(f"trace {path} cannot be read: {error}") from error
    if path.suffix.lower() == ".csv":
        return _trace(path, {}, _table(text))
    lines = list(_lines(text, path))
    header: Mapping[str, object] = {}
    if lines and "trace" in lines[0][1]:
        header = lines.pop(0)[1]
    return _trace(path, header, lines)


def write_trace(trace: Trace) -> str:
    """A trace as JSON lines, for a file that `read_trace` reads."""
    header = {
        "trace": FORMAT,
        "seconds": trace.seconds,
        "work_core_seconds": trace.work_core_seconds,
    }
    samples = (
        {"at": each.at, **asdict(each.demand), "capacity_acu": each.capacity_acu}
        for each in trace.samples
    )
    lines = (
        {name: value for name, value in each.items() if value is not None}
        for each in (header, *samples)
    )
    return "".join(json.dumps(each) + "\n" for each in lines)


def _lines(text: str, path: Path) -> Iterator[tuple[int, Mapping[str, object]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except json.JSONDecodeError as error:
            raise InvalidParameterError(
                f"trace {path}, line {number} is no JSON object: {error}"
            ) from error
        if not isinstance(found, dict):
            raise InvalidParameterError(
                f"trace {path}, line {number} is no JSON object such as "
                '{"at": 0, "cpu_cores": 0.5}; each line has one'
            )
        yield number, found


def _table(text: str) -> Iterator[tuple[int, Mapping[str, object]]]:
    reader = csv.DictReader(io.StringIO(text), restkey="more columns than names")
    for row in reader:
        yield reader.line_num, {name: value for name, value in row.items() if value != ""}


def _trace(
    path: Path, header: Mapping[str, object], rows: Iterable[tuple[int, Mapping[str, object]]]
) -> Trace:
    said = _header(f"trace {path}, line 1", header)
    samples: list[Sample] = []
    for number, row in rows:
        where = f"trace {path}, line {number}"
        sample = _sample(where, row)
        if samples and sample.at <= samples[-1].at:
            raise InvalidParameterError(
                f"{where}: at is {sample.at:g}, and {samples[-1].at:g} before it; it must grow"
            )
        samples.append(sample)
        if len(samples) > SAMPLES_MAX:
            raise InvalidParameterError(f"{where}: a trace has at most {SAMPLES_MAX} samples")
    if not samples:
        raise InvalidParameterError(f"trace {path} has no sample; it needs one line at least")
    first = samples[0].at
    moved = tuple(Sample(each.at - first, each.demand, each.capacity_acu) for each in samples)
    step = moved[-1].at - moved[-2].at if len(moved) > 1 else 1.0
    seconds = said.get("seconds", moved[-1].at + step)
    return Trace(path.stem, moved, seconds, said.get("work_core_seconds"))


def _header(where: str, header: Mapping[str, object]) -> dict[str, float]:
    if header and header["trace"] != FORMAT:
        raise InvalidParameterError(
            f"{where}: a trace of format {header['trace']!r}; this release reads format {FORMAT}"
        )
    _check_names(where, header, HEADER)
    return {name: _number(where, name, value) for name, value in header.items()}


def _check_names(where: str, row: Mapping[str, object], names: tuple[str, ...]) -> None:
    unknown = [name for name in row if name not in names]
    if unknown:
        raise InvalidParameterError(
            f"{where}: {unknown[0]!r} is no field of a trace; there are {', '.join(names)}"
        )


def _sample(where: str, row: Mapping[str, object]) -> Sample:
    _check_names(where, row, NAMES)
    if "at" not in row:
        raise InvalidParameterError(f"{where} has no 'at', the seconds since the beginning")
    numbers = {name: _number(where, name, value) for name, value in row.items()}
    at, capacity = numbers.pop("at"), numbers.pop("capacity_acu", None)
    connections = numbers.pop("connections", 0.0)
    try:
        demand = Demand(**numbers, connections=round(connections))
    except ValueError as error:
        raise InvalidParameterError(f"{where}: {error}") from error
    return Sample(at, demand, capacity)


def _number(where: str, name: str, value: object) -> float:
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError
        number = float(value)
    except ValueError:
        raise InvalidParameterError(f"{where}: {name} is {value!r}; it must be a number") from None
    if not math.isfinite(number) or number < 0:
        raise InvalidParameterError(f"{where}: {name} is {value}; it must be 0 or more")
    return number
