"""What files state is the committed schema, readers of several kinds read it, and a new one may only add."""

import copy
import io
import json

import duckdb
import fastavro
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engage_assets.archive.containers import container
from engage_assets.archive.encoding import encoder, number
from engage_assets.archive.schemas import PARSED, SCHEMAS, is_nullable, refuse_evolution
from engage_assets_tests.archive.changes import ITEMS, archived, change

MARKER = bytes(range(16))
FILES = archived(*(change(item, name, f"{item['type']}-{name}") for item in ITEMS for name in ("INSERT", "REMOVE")))


@pytest.mark.parametrize("file", FILES.data, ids=lambda file: file.type)
def test_files_state_the_committed_schema(file):
    reader = fastavro.reader(io.BytesIO(file.content))
    assert json.loads(reader.metadata["avro.schema"]) == SCHEMAS[file.type]
    assert reader.codec == "deflate"


@pytest.mark.parametrize("file", FILES.data, ids=lambda file: file.type)
def test_fastavro_polars_and_duckdb_read_the_same(file):
    rows = list(fastavro.reader(io.BytesIO(file.content)))
    frame = pl.read_avro(io.BytesIO(file.content))
    assert frame.to_dicts() == pl.DataFrame(rows, schema=frame.schema).to_dicts()
    with duckdb.connect() as database:
        database.register("archived", frame)
        found = database.sql("SELECT isDeleted, reference.id, lineage.eventName FROM archived ORDER BY 1").fetchall()
    reference = rows[0]["reference"]["id"]
    assert found == [(False, reference, "INSERT"), (True, reference, "REMOVE")]


def every_field(schema, where=""):
    for field in schema["fields"]:
        yield where + field["name"], field
        kind = field["type"][1] if is_nullable(field["type"]) else field["type"]
        kind = kind["items"] if isinstance(kind, dict) and kind["type"] == "array" else kind
        if isinstance(kind, dict) and kind["type"] == "record":
            yield from every_field(kind, f"{where}{field['name']}.")


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_every_field_has_words_and_every_nullable_one_a_default(schema):
    for name, field in every_field(schema):
        assert field["doc"], name
        assert not is_nullable(field["type"]) or field["default"] is None, name


def values_of(kind):
    """Any value of an Avro type."""
    if is_nullable(kind):
        return st.none() | values_of(kind[1])
    if kind == "string":
        return st.text(max_size=12)
    if kind == "boolean":
        return st.booleans()
    if kind["type"] == "record":
        return st.fixed_dictionaries({field["name"]: values_of(field["type"]) for field in kind["fields"]})
    if kind["type"] == "array":
        return st.lists(values_of(kind["items"]), max_size=2)
    return st.integers(-(2**62), 2**62) | st.integers(946_684_800_000_000, 4_417_977_600_000_000)


@pytest.mark.parametrize("kind", SCHEMAS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_rows_are_encoded_as_fastavro_does(kind, data):
    row = data.draw(values_of(SCHEMAS[kind]))
    theirs, ours = io.BytesIO(), bytearray()
    fastavro.schemaless_writer(theirs, PARSED[kind], row)
    encoder(SCHEMAS[kind])(row, ours)
    assert bytes(ours) == theirs.getvalue()


def test_long_texts_and_many_rows_are_written_in_blocks():
    rows = [file_row(number % 9000) for number in range(3000)]
    content = container("event", rows, MARKER)
    blocks = list(fastavro.block_reader(io.BytesIO(content)))
    assert len(blocks) > 2
    assert [one for block in blocks for one in block] == list(
        fastavro.reader(io.BytesIO(container("event", rows, MARKER)))
    )
    assert [row["name"] for row in fastavro.reader(io.BytesIO(content))] == [row["name"] for row in rows]
    assert number(-1) == b"\x01"


def file_row(size):
    (file,) = (file for file in FILES.data if file.type == "event")
    row = next(fastavro.reader(io.BytesIO(file.content)))
    plain = {"reference": {"id": "e", "timestamp": size}, "lineage": {**row["lineage"], "changeTime": 1}}
    return {"id": "e", "name": "n" * size, "isDeleted": False, **plain}


def evolved(change_it):
    new = copy.deepcopy(SCHEMAS["event"])
    change_it({field["name"]: field for field in new["fields"]}, new)
    return refuse_evolution(SCHEMAS["event"], new)


def append(name, kind, **more):
    return lambda _, schema: schema["fields"].append({"name": name, "type": kind, **more})


def test_a_new_version_may_add_nullable_fields_and_words():
    assert evolved(append("genre", ["null", "string"], default=None)) == []
    assert evolved(lambda fields, _: fields["name"].update(doc="The event's name.")) == []
    venue = {"name": "city", "type": ["null", "string"], "default": None}
    assert evolved(lambda fields, _: fields["venues"]["type"][1]["items"]["fields"].append(venue)) == []


def test_a_file_of_an_older_version_is_read_beside_a_new_one():
    older = copy.deepcopy(SCHEMAS["event"])
    removed = older["fields"].pop(1)["name"]
    assert refuse_evolution(older, SCHEMAS["event"]) == []
    out, row = io.BytesIO(), file_row(3)
    fastavro.writer(out, fastavro.parse_schema(older), [row])
    out.seek(0)
    (found,) = fastavro.reader(out, PARSED["event"])
    assert found[removed] is None
    assert found["reference"]["id"] == "e"


@pytest.mark.parametrize(
    ("change_it", "words"),
    [
        (append("genre", "string"), "Event.genre: new; make it"),
        (append("genre", ["null", "string"]), "Event.genre: new; make it"),
        (append("genre", ["string", "null"], default=""), "Event.genre: new; make it"),
        (lambda _, schema: schema["fields"].pop(0), "Event.id: removed"),
        (lambda fields, _: fields["name"].update(name="title"), "Event.name: removed"),
        (lambda fields, _: fields["id"].update(type=["null", "string"]), "Event.id: its type changed"),
        (lambda fields, _: fields["isSuppressed"].update(type=["null", "string"]), "isSuppressed: its type changed"),
        (lambda fields, _: fields["id"].update(default=""), "Event.id: its default changed"),
        (lambda fields, _: fields["date"]["type"][1]["fields"][0]["type"][1].pop("logicalType"), "date.firstSeen: its"),
        (lambda fields, _: fields["venues"]["type"][1]["items"]["fields"].pop(), "venues[].locale: removed"),
        (lambda fields, _: fields["reference"]["type"].update(name="engage.archive.Ref"), "name changed"),
    ],
)
def test_anything_else_is_refused(change_it, words):
    faults = evolved(change_it)
    assert faults
    assert any(words in fault for fault in faults), faults
