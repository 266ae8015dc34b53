"""IAM database tokens, signed as `botocore`'s `generate_db_auth_token` signs them.

Source: Aurora User Guide, "IAM database authentication"; botocore/signers.py.
"""

from types import SimpleNamespace

from cluster_runtime.control.records.state_directory import AccessKey

_SERVICE = "rds-db"


def generate_db_auth_token(
    access_key: AccessKey, *, host: str, port: int, user: str, region: str
) -> str:
    """A password for `user` at an endpoint that opens connections for 15 minutes."""
    import botocore.signers  # takes a while to load, and many a command needs no token
    from botocore.credentials import Credentials
    from botocore.hooks import HierarchicalEmitter
    from botocore.model import ServiceId

    hooks = HierarchicalEmitter()  # the signer itself keeps only a weak reference
    # The function is made to be a method of a client, whose making reads megabytes of service
    # descriptions; all that it uses of one is the signer.
    signer = botocore.signers.RequestSigner(
        ServiceId("rds"),
        region,
        _SERVICE,
        "v4",
        Credentials(access_key.access_key_id, access_key.secret_access_key),
        hooks,
    )
    client = SimpleNamespace(_request_signer=signer)
    token: str = botocore.signers.generate_db_auth_token(client, host, port, user, region)
    return token
