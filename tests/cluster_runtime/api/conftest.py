"""A runtime with an endpoint, and boto3 clients that refuse what a model does not say."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import boto3
import pytest
from botocore.config import Config

from cluster_runtime import Runtime
from cluster_runtime.api import Credentials
from cluster_runtime.api.calls import HostFacts
from cluster_runtime.api.client.finding import read_facts
from tests.places import reachable_folder

REGION = "us-east-1"


@dataclass
class Clock:
    """The endpoint's clock, some time away from the real one."""

    off: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.off


@dataclass
class Endpoint:
    """An open runtime and its endpoint."""

    runtime: Runtime
    state_dir: Path
    credentials: Credentials
    facts: HostFacts
    clock: Clock
    strictly: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        assert self.facts.endpoint_url is not None
        return self.facts.endpoint_url

    @property
    def keys(self) -> dict[str, str]:
        """As boto3 takes them."""
        key_id, key = self.credentials.first
        return {"aws_access_key_id": key_id, "aws_secret_access_key": key.secret_access_key}

    @property
    def environment(self) -> dict[str, str]:
        """As AWS's programs take all of it."""
        return {
            "AWS_ACCESS_KEY_ID": self.keys["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": self.keys["aws_secret_access_key"],
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            **{
                f"AWS_ENDPOINT_URL_{service}": self.url
                for service in ("RDS", "SECRETS_MANAGER", "STS", "IAM", "CLOUDWATCH")
            },
        }

    def client(self, service: str, **settings: Any) -> Any:
        """boto3's, whose answers must be what the model says, and nothing more."""
        given = {
            "region_name": REGION,
            "config": Config(retries={"total_max_attempts": 1}),
            **self.keys,
            **settings,
        }
        client = boto3.client(service, endpoint_url=self.url, **given)
        client.meta.events.register("before-parse", self._check)
        return client

    def _check(self, operation_model: Any, response_dict: Any, **_: Any) -> None:
        if response_dict["status_code"] != 200 or not response_dict["body"].startswith(b"<"):
            return
        root = ET.fromstring(response_dict["body"])
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
        assert root.tag == f"{operation_model.name}Response"
        shape = operation_model.output_shape
        wrapped = [each.tag for each in root if each.tag != "ResponseMetadata"]
        self.strictly.append(operation_model.name)
        if shape is None:
            assert wrapped == []
            return
        assert wrapped == [shape.serialization["resultWrapper"]]
        refuse_unknown(root[0], shape)


def refuse_unknown(element: ET.Element, shape: Any) -> None:
    """Every element must be a member that the shape has."""
    match shape.type_name:
        case "structure":
            known = {of.serialization.get("name", name): of for name, of in shape.members.items()}
            for each in element:
                assert each.tag in known, f"{shape.name} has no {each.tag}"
                refuse_unknown(each, known[each.tag])
        case "list":
            for each in element:
                assert each.tag == shape.member.serialization.get("name", "member")
                refuse_unknown(each, shape.member)
        case "map":
            assert {each.tag for each in element} <= {"entry"}
        case _:
            assert len(element) == 0


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    """One for the tests of a module."""
    folder = reachable_folder()
    state_dir = folder / "state"
    with Runtime.open(state_dir, warm_pool_size=0, endpoint_port=0) as runtime:
        yield endpoint_of(runtime, state_dir)
    shutil.rmtree(folder)


def endpoint_of(runtime: Runtime, state_dir: Path) -> Endpoint:
    """The endpoint of an open runtime, with a clock of the tests'."""
    facts, clock = read_facts(state_dir), Clock()
    assert facts is not None
    runtime._home.door.application.clock = clock
    return Endpoint(runtime, state_dir, Credentials.read(state_dir), facts, clock)


@pytest.fixture(scope="module")
def rds(endpoint: Endpoint) -> Any:
    return endpoint.client("rds")


Refused = Callable[..., tuple[str, int]]


@pytest.fixture
def refused() -> Refused:
    """Call something of boto3's that must fail; the error's code and HTTP status."""

    def call(method: Callable[..., Any], **members: Any) -> tuple[str, int]:
        client = method.__self__  # type: ignore[attr-defined]
        with pytest.raises(client.exceptions.ClientError) as raised:
            method(**members)
        response = raised.value.response
        return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]

    return call
