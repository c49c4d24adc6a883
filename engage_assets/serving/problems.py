"""Faults of a request as problem details (RFC 9457): what was wrong, where, and what is known. Never what was sent."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from traceback import walk_tb
from typing import Any, Final, ParamSpec, TypeVar

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

PROBLEM_TYPE: Final = "application/problem+json"
RETRY_SECONDS: Final = 5
"""After so long a caller may try again what is not available."""

_PACKAGE: Final = __name__.partition(".")[0]
_log = logging.getLogger(__name__)
_P = ParamSpec("_P")
_T = TypeVar("_T")


class Problem(HTTPException):
    """An answer with status 400 and above; `more` are further members, such as `known`."""

    def __init__(self, status: int, detail: str, *, headers: dict[str, str] | None = None, **more: Any) -> None:
        super().__init__(status, detail, headers)
        self.more = more


def unknown(what: str, known: Sequence[str]) -> Problem:
    """404 for a name that is not there, with those that are."""
    return Problem(404, f"no such {what}; known: {', '.join(sorted(known)) or 'none'}", known=sorted(known))


def invalid(faults: Sequence[Any]) -> Problem:
    """422 from the faults of pydantic: place and rule of each, nothing of what was sent."""
    found = [{"where": _where(fault), "rule": fault["msg"]} for fault in faults]
    return Problem(422, "the request does not have the documented form", faults=found)


def write(problem: HTTPException) -> Response:
    """The answer for a problem."""
    title = HTTPStatus(problem.status_code).phrase
    body = {"type": "about:blank", "title": title, "status": problem.status_code, "detail": problem.detail}
    more = problem.more if isinstance(problem, Problem) else {}
    return Response(orjson.dumps(body | more), problem.status_code, problem.headers, PROBLEM_TYPE)


def register(app: FastAPI) -> None:
    """Answer the faults of `app` as problem details."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)


async def ask(call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """What a call of a port gives, made in a thread; 503 where it fails."""
    try:
        return await run_in_threadpool(call, *args, **kwargs)
    except HTTPException:
        raise
    except Exception as error:  # noqa: BLE001 – any driver's; its message may hold personal data
        log_fault("unavailable", error)
        headers = {"Retry-After": str(RETRY_SECONDS)}
        raise Problem(503, "a database that this request needs does not answer", headers=headers) from None


def asking(*, in_threads: bool) -> Callable[..., Awaitable[Any]]:
    """`ask`, or what calls at once and lets errors pass: for what answers faster than a thread begins."""
    return ask if in_threads else _at_once


async def _at_once(call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    return call(*args, **kwargs)


def log_fault(event: str, error: BaseException) -> None:
    """Log class of an error and the last place of ours that it passed, not its message: it may hold personal data."""
    frames = [(frame.f_code.co_filename, line) for frame, line in walk_tb(error.__traceback__)]
    ours = [frame for frame in frames if _PACKAGE in frame[0]]
    place = ":".join(map(str, (ours or frames or [("unknown", 0)])[-1]))
    _log.error(orjson.dumps({"event": event, "error": type(error).__name__, "place": place}).decode())


def _where(fault: Any) -> list[str]:
    place = [str(part) for part in fault["loc"]]
    return [*place[:-1], "(unknown key)"] if fault["type"] == "extra_forbidden" else place


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return write(error)


async def _validation(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError | ValidationError)
    return write(invalid(error.errors()))
