"""Whether a record names a fan, and what is left of it: plain, packed, cut off, of several fans."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engage_assets.archive.mentions import Mention, Unreadable
from engage_assets_tests.archive.changes import DEMAND, change, dynamo, line

CANARY = {"email": "canary-mail@example.org", "phoneNumber": "+1 555 0177 canary", "messageBody": "canary text"}
FAN = {**DEMAND, **CANARY, "fanId": "fan-7"}
OTHER = {**FAN, "fanId": "fan-70"}


def redacted(body, fan="fan-7"):
    return Mention(fan).redacted(line(body))


def wrapped(body):
    return {"kinesis": {"data": base64.b64encode(line(body)).decode()}, "eventSource": "aws:kinesis"}


def is_clean(data):
    text = data.decode()
    inside = [base64.b64decode(one).decode() for one in [json.loads(text).get("kinesis", {}).get("data")] if one]
    return not any(value in part for part in (text, *inside) for value in CANARY.values())


@pytest.mark.parametrize(
    "body",
    [
        change(FAN, "MODIFY"),
        wrapped(change(FAN)),
        wrapped(wrapped(change(FAN))),
        {"messageId": "1", "body": json.dumps(change(FAN))},
        {"Records": [change(FAN), change(FAN, "REMOVE")]},
        change({**FAN, "fanId": {"N": "7"}}, Keys={"pk": {"S": "event-1_sale-1_fan-7"}}),
        change({**{name: one for name, one in FAN.items() if name != "fanId"}}, Keys={"id": {"S": "fan-7"}}),
        {"fan_id": "fan-7", "e-mail": CANARY["email"], "PhoneNumber": 5550177, "message_body": ["canary text"]},
        {"owner": {"N": "7"}, "id": "fan-7", "email": CANARY["email"]},
    ],
)
def test_a_record_that_names_the_fan_is_cleaned(body):
    cleaned = redacted(body)
    assert cleaned is not None
    assert is_clean(cleaned)
    assert Mention("fan-7").redacted(cleaned) is None  # nothing is left to do


@pytest.mark.parametrize(
    "body",
    [change(OTHER), wrapped(change(OTHER)), b"fan-70 canary", b"{}", OTHER, change({**DEMAND, "fanId": "x-fan-7"})],
)
def test_others_are_left_alone(body):
    assert redacted(body) is None


def test_of_several_images_only_the_fans_is_cleaned():
    cleaned = json.loads(redacted({"Records": [change(FAN), change(OTHER)]}))
    mine, other = (one["dynamodb"]["NewImage"] for one in cleaned["Records"])
    assert mine["email"] == {"S": "[redacted]"}
    assert other == {name: dynamo(value) for name, value in OTHER.items()}


@pytest.mark.parametrize(
    "data",
    [
        line(change(FAN))[:-40],
        line(wrapped(change(FAN)))[:-60],
        b"\xff" + line(change(FAN)),
        b'"fan\\u002d7 ' + CANARY["email"].encode(),
        b"1234567" + base64.b64encode(b"x" + line(change(FAN)))[:-3],
        line({"note": base64.b64encode(b"fan-7 " + CANARY["email"].encode()).decode()}),
        line(change({**FAN, "eventName": f"for {CANARY['email']}"})),  # a personal value where none belongs
        b"[" * 900 + b'"fan-7"' + b"]" * 900,
    ],
)
def test_what_cannot_be_taken_apart_goes_as_a_whole(data):
    with pytest.raises(Unreadable):
        Mention("fan-7").redacted(data)


@given(st.binary(max_size=40), st.binary(max_size=40), st.text("abc-19é", min_size=1, max_size=12), st.integers(0, 2))
def test_what_names_the_fan_is_always_looked_at(before, after, fan, depth):
    data = before + fan.encode() + after
    for _ in range(depth):
        data = b"{" + base64.b64encode(data) + b"}"
    assert Mention(fan).may_be_in(data)


@given(st.text('aé\u20ac/"\\\n\U0001f600 9', min_size=1, max_size=12), st.integers(0, 2))
def test_also_in_escapes(fan, depth):
    data = line({"fanId": fan, "email": CANARY["email"]})
    for _ in range(depth):
        data = line(wrapped(json.loads(data)))
    assert Mention(fan).may_be_in(data)
    assert CANARY["email"].encode() not in Mention(fan).redacted(data)


TEXTS = st.text(max_size=5) | st.sampled_from(["fan-7", "x_fan-7", "a@example.org"])
NAMES = st.sampled_from(["fanId", "email", "S", "data", "dynamodb"])


@settings(max_examples=50)
@given(
    st.recursive(
        st.none() | TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)
    )
)
def test_whatever_its_shape_a_record_is_clean_after_one_pass(value):
    data = line({"value": value})
    try:
        cleaned = Mention("fan-7").redacted(data)
    except Unreadable:
        assert "fan-7" in data.decode()
        return
    assert cleaned is None or Mention("fan-7").redacted(cleaned) is None
