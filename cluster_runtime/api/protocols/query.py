"""AWS's Query protocol: parameters of a form as the model's input shape says, answers as XML.

Pure. Shapes are botocore's. Source: smithy.io, "AWS query protocol"; Amazon RDS API Reference,
"Common parameters".
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

from cluster_runtime.api.protocols.values import scalar
from cluster_runtime.api.refusals import RefusedRequestError, invalid_value

PARAMETERS_MAX = 10_000
_COMMON = frozenset({"Action", "Version"})
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def form(body: bytes) -> dict[str, str]:
    """The parameters of a form. Raises RefusedRequestError for what is none."""
    try:
        pairs = parse_qsl(
            body.decode("utf-8"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=PARAMETERS_MAX,
        )
    except ValueError as error:
        raise RefusedRequestError(
            f"the form is unreadable: {error}", fault="MalformedQueryString"
        ) from (error)
    found = dict(pairs)
    if len(found) != len(pairs):
        raise RefusedRequestError("a parameter is given twice", fault="MalformedQueryString")
    return found


def parse(parameters: Mapping[str, str], shape: Any) -> dict[str, Any]:
    """The members of an input shape. Raises RefusedRequestError, for unknown parameters too."""
    rest = {name: value for name, value in parameters.items() if name not in _COMMON}
    used: set[str] = set()
    found = _Reader(rest, used).structure(shape, "") if shape is not None else {}
    unknown = sorted(rest.keys() - used)
    if unknown:
        raise RefusedRequestError(
            f"the operation has no parameter {unknown[0]!r}", fault="InvalidQueryParameter"
        )
    return found


class _Reader:
    """Reads values under a prefix, such as `Tags.Tag.1.`, and notes what it used."""

    def __init__(self, parameters: Mapping[str, str], used: set[str]) -> None:
        self._parameters = parameters
        self._used = used
        self._names = sorted(parameters)

    def structure(self, shape: Any, prefix: str) -> dict[str, Any]:
        found = {}
        for name, member in shape.members.items():
            key = prefix + member.serialization.get("name", name)
            value = self._value(member, key)
            if value is not None:
                found[name] = value
        return found

    def _value(self, shape: Any, key: str) -> Any:
        if shape.type_name == "structure":
            return self.structure(shape, f"{key}.") if self._below(f"{key}.") else None
        if shape.type_name == "list":
            return self._list(shape, key)
        if shape.type_name == "map":
            return self._map(shape, key)
        text = self._parameters.get(key)
        if text is None:
            return None
        self._used.add(key)
        try:
            return scalar(shape.type_name, text)
        except ValueError as error:
            raise invalid_value(f"{key} is {text!r}; it must be {shape.type_name}") from error

    def _list(self, shape: Any, key: str) -> list[Any] | None:
        if self._parameters.get(key) == "":  # how an empty list is sent
            self._used.add(key)
            return []
        names = [f"{key}."] if shape.serialization.get("flattened") else []
        names += [f"{key}.{shape.member.serialization.get('name', 'member')}.", f"{key}.member."]
        for prefix in names:
            if self._below(prefix):
                return [
                    self._value(shape.member, f"{prefix}{number}")
                    for number in self._numbers(prefix)
                ]
        return None

    def _map(self, shape: Any, key: str) -> dict[Any, Any] | None:
        prefix = f"{key}." if shape.serialization.get("flattened") else f"{key}.entry."
        if not self._below(prefix):
            return None
        names = (
            shape.key.serialization.get("name", "key"),
            shape.value.serialization.get("name", "value"),
        )
        return {
            self._value(shape.key, f"{prefix}{number}.{names[0]}"): self._value(
                shape.value, f"{prefix}{number}.{names[1]}"
            )
            for number in self._numbers(prefix)
        }

    def _below(self, prefix: str) -> bool:
        return any(name.startswith(prefix) for name in self._names)

    def _numbers(self, prefix: str) -> list[int]:
        heads = {
            name[len(prefix) :].partition(".")[0] for name in self._names if name.startswith(prefix)
        }
        return sorted(int(head) for head in heads if head.isascii() and head.isdigit())


def response(operation: Any, result: Mapping[str, Any], request_id: str) -> bytes:
    """The XML of an answer, as the model's output shape says."""
    namespace = operation.metadata.get("xmlNamespace", "")
    root = ET.Element(f"{operation.name}Response", {"xmlns": namespace} if namespace else {})
    shape = operation.output_shape
    if shape is not None:
        wrapper = shape.serialization.get("resultWrapper")
        parent = ET.SubElement(root, wrapper) if wrapper else root
        _write_structure(parent, shape, result)
    metadata = ET.SubElement(root, "ResponseMetadata")
    ET.SubElement(metadata, "RequestId").text = request_id
    return _document(root)


def error_response(fault: str, message: str, status: int, request_id: str, namespace: str) -> bytes:
    """The XML of an error."""
    root = ET.Element("ErrorResponse", {"xmlns": namespace} if namespace else {})
    error = ET.SubElement(root, "Error")
    ET.SubElement(error, "Type").text = "Sender" if status < 500 else "Receiver"
    ET.SubElement(error, "Code").text = fault
    ET.SubElement(error, "Message").text = _text(message)
    ET.SubElement(root, "RequestId").text = request_id
    return _document(root)


def _write_structure(parent: ET.Element, shape: Any, value: Mapping[str, Any]) -> None:
    unknown = value.keys() - shape.members.keys()
    if unknown:
        raise ValueError(f"{shape.name} has no member {sorted(unknown)}")
    for name, member in shape.members.items():
        if value.get(name) is not None:
            _write(parent, member, member.serialization.get("name", name), value[name])


def _write(parent: ET.Element, shape: Any, name: str, value: Any) -> None:
    if shape.type_name == "list" and shape.serialization.get("flattened"):
        for each in value:
            _write(parent, shape.member, name, each)
        return
    element = ET.SubElement(parent, name)
    if shape.type_name == "structure":
        _write_structure(element, shape, value)
    elif shape.type_name == "list":
        for each in value:
            _write(element, shape.member, shape.member.serialization.get("name", "member"), each)
    elif shape.type_name == "map":
        for key, inner in value.items():
            entry = ET.SubElement(element, "entry")
            _write(entry, shape.key, shape.key.serialization.get("name", "key"), key)
            _write(entry, shape.value, shape.value.serialization.get("name", "value"), inner)
    else:
        element.text = _scalar_text(value)


def _scalar_text(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            moment = value.astimezone(UTC)
            return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
        case _:
            return _text(str(value))


def _text(text: str) -> str:
    return _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def _document(root: ET.Element) -> bytes:
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))
