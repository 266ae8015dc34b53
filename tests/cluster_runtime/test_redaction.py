"""No secret is written down, in whatever form it comes; what is none stays legible."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.redaction import HIDDEN, redacted, redacted_fields

SECRET = "s3cr3t-V4lue+/x"
SIGNATURE = "0f" * 32


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://ada:{SECRET.replace('/', '%2F')}@db:5432/x".replace("%2F", ""),
        f"host=db password={SECRET} dbname=x",
        f"host=db password='{SECRET} with a space' dbname=x",
        f"alter role ada password '{SECRET}''s'",
        f'{{"MasterUserPassword": "{SECRET}"}}',
        f"Authorization: Bearer {SECRET}",
        f"Authorization: Basic {SECRET}",
        f"secret_access_key={SECRET}",
        f"SecretString = '{SECRET}'",
        f"SCRAM-SHA-256$4096:{SECRET}",
        f"-----BEGIN EC PRIVATE KEY-----\n{SECRET}\n-----END EC PRIVATE KEY-----",
        f"x.rds:1/?Action=connect&DBUser=ada&X-Amz-Security-Token={SECRET}&X-Amz-Expires=900",
    ],
)
def test_a_secret_in_a_text_is_hidden(text: str) -> None:
    hidden = redacted(text)
    assert HIDDEN in hidden
    assert SECRET.replace("/", "") not in hidden
    assert SECRET not in hidden
    assert redacted(hidden).count(HIDDEN) == hidden.count(HIDDEN)


@pytest.mark.parametrize(
    "text",
    [
        f"db:5432/?Action=connect&DBUser=ada&X-Amz-Signature={SIGNATURE}",
        f"AWS4-HMAC-SHA256 Credential=AKIA/x, SignedHeaders=host, Signature={SIGNATURE}",
    ],
)
def test_a_signature_is_hidden(text: str) -> None:
    assert SIGNATURE not in redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "password authentication failed for user ada: its IAM token has expired",
        "postgresql://db.local:5432/shop?sslmode=verify-full",
        "host begins, pid 12; it reads http://[::1]:8/x",
        "socket /run/x/.s.PGSQL.5432",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text


@given(st.sampled_from(["password", "MasterUserPassword", "session_token", "Authorization"]))
def test_a_field_is_hidden_by_its_name_however_deep_it_lies(name: str) -> None:
    fields: dict[str, Any] = {name: SECRET, "of": [{"x": {name: SECRET}}], "user": "ada"}
    hidden = redacted_fields(fields)
    assert SECRET not in repr(hidden)
    assert hidden["user"] == "ada"


def test_a_number_and_the_name_of_a_secret_are_told() -> None:
    fields = {"token_count": 3, "secret_arn": "arn:aws:x", "token_file": "/a/b", "passwords": None}
    assert redacted_fields(fields) == fields
