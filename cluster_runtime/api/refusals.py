"""What the endpoint refuses, with the codes of AWS's common errors.

Source: Amazon RDS API Reference, "Common errors".
"""

from cluster_runtime.errors import BorealisError

FORBIDDEN = 403
NOT_FOUND = 404
TOO_LARGE = 413
SERVER_ERROR = 500


class RefusedRequestError(BorealisError):
    """A request that the endpoint does not carry out. The endpoint answers it as AWS does.

    fault: AWS's error code. status: of HTTP. message: what happened, and what to do.
    """

    def __init__(self, fault: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.fault = fault
        self.message = message
        self.status = status


def invalid_value(message: str) -> RefusedRequestError:
    """A parameter has a value outside its rules."""
    return RefusedRequestError("InvalidParameterValue", message)


def invalid_combination(message: str) -> RefusedRequestError:
    """A parameter that does not go with the others, or that is not supported here."""
    return RefusedRequestError("InvalidParameterCombination", message)


def not_implemented(service: str, operation: str) -> RefusedRequestError:
    """AWS has the operation, and this endpoint has not."""
    return RefusedRequestError(
        "NotImplemented",
        f"{operation} of {service} is not implemented by this endpoint; "
        "docs/rds-api.md lists the operations that are",
        501,
    )
