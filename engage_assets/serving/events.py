"""Events as providers write them, read into interactions. A fault names the key, never what stood there."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from engage_assets.domain.responses import Interaction, InteractionKind

AHEAD: Final = timedelta(minutes=5)
"""So far may an event lie ahead of our clock."""
EARLIEST: Final = datetime(2000, 1, 1)  # noqa: DTZ001 - instants are UTC without a zone
LONGEST_ID: Final = 180
"""Characters of a provider's event id; ours adds the form's name."""

_SEND_ID = re.compile(r"[0-9a-f]{32}")
_KINDS: Final[dict[str, InteractionKind]] = {
    "delivered": "delivered",
    "bounce": "bounce",
    "complaint": "complaint",
}
_SES_KINDS: Final[dict[str, InteractionKind]] = {
    "Delivery": "delivered",
    "Bounce": "bounce",
    "Complaint": "complaint",
}


class Malformed(ValueError):
    """An entry, or a body, that is not of its form."""


def entries_of(form: str, body: Any) -> list[Any]:
    """The entries of a body. Raises Malformed."""
    if form == "ses":
        return body if isinstance(body, list) else [body]
    events = body.get("events") if isinstance(body, dict) else None
    if not isinstance(events, list):
        raise Malformed("events: a list is needed")
    return events


def read_event(form: str, entry: Any, now: datetime) -> Interaction:
    """One entry as an interaction. Raises Malformed."""
    if not isinstance(entry, dict):
        raise Malformed("an object is needed")
    return FORMS[form](entry, now)


def _read_generic(entry: Mapping[str, Any], now: datetime) -> Interaction:
    kind = _KINDS.get(text_in(entry, "type"))
    if kind is None:
        raise Malformed(f"type: one of {', '.join(_KINDS)} is needed")
    permanent = entry.get("permanent")
    if kind == "bounce" and not isinstance(permanent, bool):
        raise Malformed("permanent: true or false is needed for a bounce")
    return Interaction(
        event_id=f"generic:{text_in(entry, 'id')}",
        send_id=_send_id(text_in(entry, "sendId"), "sendId"),
        kind=kind,
        at=instant_of(text_in(entry, "at"), "at", now),
        source="generic",
        is_permanent=permanent if kind == "bounce" else None,
    )


def _read_ses(entry: Mapping[str, Any], now: datetime) -> Interaction:
    """An SES event. Its id is SES's own of the message, with the kind and the feedback's id or time."""
    event = _unwrapped(entry)
    name = event.get("eventType", event.get("notificationType"))
    kind = _SES_KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise Malformed(f"eventType: one of {', '.join(_SES_KINDS)} is needed")
    key = str(name).lower()
    detail, mail = _object(event, key), _object(event, "mail")
    if detail.get("complaintFeedbackType") == "not-spam":
        raise Malformed("complaint: not-spam is none")
    at = text_in(detail, "timestamp", 100)
    last = text_in(detail, "feedbackId", 100) if "feedbackId" in detail else at
    return Interaction(
        event_id=f"ses:{text_in(mail, 'messageId', 80)}:{kind}:{last}",
        send_id=_send_id(_own_message_id(mail), "mail.commonHeaders.messageId"),
        kind=kind,
        at=instant_of(at, f"{key}.timestamp", now),
        source="ses",
        is_permanent=detail.get("bounceType") == "Permanent" if kind == "bounce" else None,
    )


def _unwrapped(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The event out of an SNS notification (`Message`, JSON as text) or EventBridge's envelope (`detail`)."""
    if isinstance(entry.get("detail"), dict):
        return _object(entry, "detail")
    if "Message" not in entry:
        return entry
    if entry.get("Type") != "Notification":
        raise Malformed("Type: Notification is needed; subscriptions are confirmed by hand")
    try:
        message = orjson.loads(text_in(entry, "Message", None))
    except orjson.JSONDecodeError:
        message = None
    if not isinstance(message, dict):
        raise Malformed("Message: JSON of an object is needed")
    return message


def _own_message_id(mail: Mapping[str, Any]) -> str:
    """Local part of the Message-ID that we wrote: SES sends under an id of its own and tells ours among the headers."""
    common, headers = mail.get("commonHeaders"), mail.get("headers")
    found = common.get("messageId") if isinstance(common, dict) else None
    if not found and isinstance(headers, list):
        named = [one for one in headers if isinstance(one, dict) and str(one.get("name")).lower() == "message-id"]
        found = named[0].get("value") if named else None
    return found.strip().lstrip("<").partition("@")[0] if isinstance(found, str) else ""


def _send_id(text: str, key: str) -> str:
    if not _SEND_ID.fullmatch(text):
        raise Malformed(f"{key}: a send's id is needed, 32 hex digits")
    return text


def instant_of(text: str, key: str, now: datetime) -> datetime:
    """An ISO instant as UTC without a zone attached; one without a zone is UTC already. Raises Malformed."""
    try:
        read = datetime.fromisoformat(text)
        at = read.astimezone(UTC).replace(tzinfo=None) if read.tzinfo else read
    except (ValueError, OverflowError):
        raise Malformed(f"{key}: an ISO instant is needed") from None
    if not EARLIEST <= at <= now + AHEAD:
        raise Malformed(f"{key}: lies in the future, or before {EARLIEST:%Y}")
    return at


def _object(entry: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = entry.get(key)
    if not isinstance(value, dict):
        raise Malformed(f"{key}: an object is needed")
    return value


def text_in(entry: Mapping[str, Any], key: str, most: int | None = LONGEST_ID) -> str:
    """The text of a key that is needed. Raises Malformed."""
    value = entry.get(key)
    if not isinstance(value, str) or not value or (most and len(value) > most) or "\x00" in value:
        raise Malformed(f"{key}: text is needed{f', at most {most} characters' if most else ''}")
    return value


FORMS: Final[dict[str, Callable[[Mapping[str, Any], datetime], Interaction]]] = {
    "ses": _read_ses,
    "generic": _read_generic,
}
"""What reads an entry, by form."""
