"""The service keeps to its OpenAPI document, and no request that the document allows, or nearly, breaks it."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import booleans
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from engage_assets.ledger.banners import SqlBanners
from engage_assets.ledger.push_addresses import SqlPushSubscriptions
from engage_assets.serving.app import create_app
from engage_assets.serving.services import PushServices
from engage_assets_tests.builders import a_program
from engage_assets_tests.serving.clients import a_key
from engage_assets_tests.serving.fakes import (
    SEND_ID,
    TRACK_SEND_ID,
    FakeContacts,
    FakeStore,
    a_row,
    a_send,
    a_token,
    a_track_program,
    a_track_send,
    some_services,
)
from engage_assets_tests.serving.gatherings import a_gathering, a_ledger, event_program, send_of

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
LIGHT = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


KNOWN = {
    "customer": "c-1042",
    "program": "product-reviews",
    "channel": "email",
    "marketplace": "DE",
    "subjectType": "product",
    "subjectId": "p-77",
    "form": "generic",
    "bannerId": "b" * 32,
    "kind": "displayed",
}
EVENT_SEND_ID = "e" * 32
PURPOSES = {"/o/": "open", "/c/": "click", "/h/": "click", "/preferences": "preferences", "/unsubscribe": "preferences"}
PURPOSES |= {"/push/beacons": "open"}


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[tuple[list[Any], dict[str, str]]]:
    """What the document lists, of a service that knows the values above; and the header with its key."""
    key, show = a_key()
    rows = [
        a_row(customer_id=KNOWN["customer"], subject_id=f"p-{77 + at}", status=status)
        for at, status in enumerate(("active", "delivered", "registered", "attended"))
    ]
    store = FakeStore(*rows)
    home = tmp_path_factory.mktemp("home")
    with a_ledger() as database:
        gathering = a_gathering(home, database)
        invited = send_of("c-1", gathering.event_id, send_id=EVENT_SEND_ID)
        banner = send_of("c-1", gathering.event_id, send_id=KNOWN["bannerId"], channel="in-app")
        contacts = FakeContacts(a_send(), a_track_send(), invited, banner, keys=[key])
        programs = {program.program_id: program for program in (a_program(), a_track_program(), event_program())}
        services = some_services(
            home,
            store=store,
            writer=store,
            contacts=contacts,
            programs=programs,
            events=gathering.events,
            banners=SqlBanners(database),
            push=PushServices(SqlPushSubscriptions(database), "BA"),
        )
        schema = schemathesis.openapi.from_asgi("/openapi.json", create_app(services))
        yield [found.ok() for found in schema.get_all_operations()], show


def know(case: Any) -> None:
    """Put values that the service knows into the path of a request."""
    purpose = next((purpose for start, purpose in PURPOSES.items() if case.path.startswith(start)), "answer")
    sends = {"/feedback": TRACK_SEND_ID, "/registration": EVENT_SEND_ID, "/survey": EVENT_SEND_ID}
    send_id = next((one for start, one in sends.items() if case.path.startswith(start)), SEND_ID)
    known = KNOWN | {"token": a_token(purpose, send_id)}
    if "/banners" in case.path:
        known["program"] = "event-invitations"
    case.path_parameters = {name: known[name] for name in case.path_parameters or {}}


def fuzz(operation: Any, mode: GenerationMode, headers: dict[str, str]) -> Counter[int]:
    """Try an operation; how often it answered with each status."""
    answers: Counter[int] = Counter()
    # Pages answer people, who follow no document.
    checks = CHECKS if operation.path.startswith("/v1") else CHECKS[:1]

    @LIGHT
    @given(case=operation.as_strategy(generation_mode=mode), is_known=booleans())
    def keeps_to_the_document(case, is_known):
        if is_known:
            know(case)
        answers[case.call_and_validate(checks=checks, headers=headers).status_code] += 1

    keeps_to_the_document()
    return answers


def test_no_request_breaks_the_service(service):
    operations, show = service
    answers: Counter[int] = Counter()
    for operation in operations:
        # A process that has not read its store says so with 503.
        if operation.path != "/readyz":
            answers += fuzz(operation, GenerationMode.POSITIVE, show)
        if "security" in operation.definition.raw:
            answers += fuzz(operation, GenerationMode.NEGATIVE, show)
    assert min(answers[200], answers[404], answers[422]) > 20, answers
