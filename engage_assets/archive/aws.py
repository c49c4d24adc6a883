"""Clients of AWS and of servers that speak like it, and what becomes of their failures."""

import errno
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError, SSLError  # noqa: A004 - botocore's own
from botocore.parsers import ResponseParserError

from engage_assets.domain.errors import EngageError

_LOG: Final = logging.getLogger(__name__)
WAITS: Final = (0.1, 0.2, 0.4, 0.8, 1.6)
"""s at most before each further attempt; who asked may come again after a longer pause."""
CONNECTIONS: Final = 16
"""That are kept open: more than a worker has threads."""
FAILURES: Final = (BotoCoreError, ClientError, ResponseParserError)
_PASSING: Final = frozenset(
    {
        "InternalFailure",
        "InternalServerError",
        "KMSThrottlingException",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
    }
)
_NOT_THERE: Final = frozenset({"ResourceNotFoundException", "NoSuchBucket"})
_NOT_ALLOWED: Final = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "NoCredentialsError",
        "PartialCredentialsError",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)


class AwsError(EngageError):
    """A service refused for good; `code` is its own word for why."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


def open_client(service: str, attempts: int) -> Any:
    """A client that keeps its connections; region, credentials and endpoint come from the usual variables and files.

    It asks `attempts` times on its own. Raises EngageError where it cannot be made.
    """
    config = Config(
        connect_timeout=5,
        read_timeout=20,
        max_pool_connections=CONNECTIONS,
        retries={"mode": "standard", "total_max_attempts": attempts},
    )
    try:
        return _session().client(service, region_name=os.environ.get("AWS_REGION") or None, config=config)
    except (BotoCoreError, ValueError) as error:
        raise EngageError(
            f"{service}: no client ({type(error).__name__}); set AWS_REGION, and a whole URL wherever"
            " an AWS_ENDPOINT_URL is set"
        ) from None


@cache
def _session() -> Any:
    """One for all clients: it reads what boto3 knows of the services once."""
    return boto3.session.Session()


def code_of(error: Exception) -> str:
    """The service's word for a failure, else the kind of error."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code") or "ClientError")
    return type(error).__name__


def is_passing(error: Exception) -> bool:
    """Whether the same request may succeed a little later."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return code_of(error) in _PASSING or status >= 500
    return isinstance(error, ConnectionError | HTTPClientError | ResponseParserError) and not isinstance(
        error, SSLError
    )


def remedy(code: str) -> str:
    """What to do about a failure."""
    if code in _NOT_THERE:
        return "check name, account and region"
    if code in _NOT_ALLOWED:
        return "check the credentials and what they are allowed to do"
    return "see the service's own state and limits, then start again"


@dataclass(frozen=True)
class Asking:
    """Asks a service again where it failed for now; `chance` gives numbers from 0 to 1, so that workers spread."""

    sleep: Callable[[float], None]
    chance: Callable[[], float]

    def ask(self, what: str, operation: Callable[..., Any], **arguments: Any) -> dict[str, Any]:
        """The answer of an operation; `what` names in errors whom it concerns.

        Raises AwsError where asking again is of no use, OSError where it was not for some seconds.
        """
        for wait in (*WAITS, None):
            try:
                answer: dict[str, Any] = operation(**arguments)
            except FAILURES as error:
                code = code_of(error)
                if not is_passing(error):
                    raise AwsError(f"{what}: {code}; {remedy(code)}", code) from error
                if wait is None:
                    raise OSError(errno.EIO, f"{what}: {code}, {len(WAITS) + 1} times") from error
                _LOG.info("%s: %s; asked again within %.1f s", what, code, wait)
                self.sleep(wait * (1 + self.chance()) / 2)
            else:
                return answer
        raise AssertionError
