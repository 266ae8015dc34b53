"""What the endpoint refuses, with the codes of AWS's common errors.

Source: Amazon RDS API Reference, "Common errors".
"""

from cluster_runtime.errors import BorealisError
from cluster_runtime.wording import Said

FORBIDDEN = 403
NOT_FOUND = 404
TOO_LARGE = 413
SERVER_ERROR = 500


class RefusedRequestError(BorealisError):
    """A request that the endpoint does not carry out. The endpoint answers it as AWS does.

    fault: AWS's error code. status: of HTTP.
    """

    def __init__(self, *said: Said, fault: str = "InternalFailure", status: int = 400) -> None:
        super().__init__(*said)
        self.fault = fault
        self.status = status


def invalid_value(message: str) -> RefusedRequestError:
    """A parameter has a value outside its rules."""
    return RefusedRequestError(message, fault="InvalidParameterValue")


def missing(parameter: str) -> RefusedRequestError:
    """A parameter that an operation does not work without."""
    return RefusedRequestError(
        f"the request must contain the parameter {parameter}", fault="MissingParameter"
    )


def invalid_combination(message: str) -> RefusedRequestError:
    """A parameter that does not go with the others, or that is not supported here."""
    return RefusedRequestError(message, fault="InvalidParameterCombination")


def not_from_here(parameter: str, value: object) -> RefusedRequestError:
    """Something of the host's machine, asked for by somebody who need not be its user."""
    return RefusedRequestError(
        f"{parameter} is {value!r}, which is of the host's machine: only its user may name that, "
        "on the socket in the state directory (borealis, or RdsControlPlane with its path)",
        fault="AccessDenied",
        status=FORBIDDEN,
    )


def not_implemented(service: str, operation: str) -> RefusedRequestError:
    """AWS has the operation, and this endpoint has not."""
    return RefusedRequestError(
        f"{operation} of {service} is not implemented by this endpoint; "
        "docs/rds-api.md lists the operations that are",
        fault="NotImplemented",
        status=501,
    )
