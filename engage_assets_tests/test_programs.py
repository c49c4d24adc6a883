"""Program files: the documented blocks load, and every fault of a file is told at once, with its place."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from engage_assets.cli import main
from engage_assets.defs.abilities import abilities, load_programs
from engage_assets.domain.errors import ProgramFileError
from engage_assets.domain.program import Program
from engage_assets.programs import json_schema, load_folder, read_marketplaces, read_program
from engage_assets_tests.builders import a_program

ROOT = Path(__file__).parents[1]
DOCUMENTED = ROOT / "engage_assets_tests" / "documented"
OURS = ROOT / "programs" / "product-reviews.yaml"
BLOCK = (DOCUMENTED / "product-reviews.yaml").read_text(encoding="utf-8")


def faults_of(path, *more):
    with pytest.raises(ProgramFileError) as error:
        read_program(path, *more)
    return [fault.removeprefix(str(path)) for fault in error.value.args]


@pytest.fixture
def broken(tmp_path):
    """From the documented block with some texts replaced, the faults of the file: `:line: key: what is wrong`."""

    def faults(*replacements, marketplaces=None, limits=None):
        text = BLOCK
        for old, new in replacements:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        path = tmp_path / "program.yaml"
        path.write_text(text, encoding="utf-8")
        return faults_of(path, marketplaces, limits)

    return faults


# --- what loads -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("product-reviews", ("deliveries", ["US", "UK", "DE", "FR", "JP"], (3, 30), "daily", 30, ["email"])),
        (
            "music-feedback",
            ("track_plays", ["US", "UK", "DE", "FR", "JP", "IN"], (2, 7), "daily", 14, ["email", "voice"]),
        ),
        (
            "event-invitations",
            (
                "customer_profiles",
                ["US", "UK", "DE", "FR", "JP", "IN", "BR", "AU"],
                (2, 30),
                "weekly",
                14,
                ["email", "in-app", "push"],
            ),
        ),
    ],
)  # fmt: skip
def test_documented_block_loads_unchanged(name, expected):
    program = read_program(DOCUMENTED / f"{name}.yaml")
    assert program.program_id == name
    assert program.enabled
    assert program.cap is not None
    cap = (program.cap.parameters.maximum, program.cap.parameters.window_days)
    found = (
        program.source_table,
        list(program.marketplaces),
        cap,
        program.cadence.period,
        program.candidate_ttl_days,
        [channel.type for channel in program.enabled_channels],
    )
    assert found == expected


@pytest.mark.parametrize("name", ["product-reviews", "music-feedback", "event-invitations"])
def test_loading_and_writing_a_documented_block_loses_no_key(name):
    stated = yaml.safe_load((DOCUMENTED / f"{name}.yaml").read_text(encoding="utf-8"))
    written = read_program(DOCUMENTED / f"{name}.yaml").model_dump(mode="json", by_alias=True)
    assert not _changed(stated, written)


def test_what_the_documented_blocks_leave_open_has_the_documented_defaults():
    program = read_program(DOCUMENTED / "product-reviews.yaml")
    (email,) = program.list_channels
    assert (email.min_score, email.limit, email.per_track_limit) == (0.5, None, None)
    assert (program.scoring_batch_size, program.deadline.total_seconds(), program.exploration_share) == (1000, 7200, 0)
    assert (program.scope, program.cost) == ("product-reviews", None)


ADDED = {
    "product-reviews": ({"owners", "deadline", "scoringBatchSize", "scoreCacheTTLDays", "cost"}, {"limit": 50000}),
    "music-feedback": (
        {
            "owners",
            "deadline",
            "scoringBatchSize",
            "scoreCacheTTLDays",
            "cost",
            "exportSchedule",
            "retrainingSchedule",
            "feedback",
            "playlists",
        },
        {"minScore": 0.6, "limit": 100000, "perTrackLimit": 10000},
    ),
    "event-invitations": (
        {
            "owners",
            "deadline",
            "scoringBatchSize",
            "scoreCacheTTLDays",
            "cost",
            "exportSchedule",
            "retrainingSchedule",
        },
        {"minScore": 0.5, "limit": 50000},
    ),
}


@pytest.mark.parametrize("name", ADDED)
def test_our_file_is_the_documented_block_and_added_keys(name):
    stated = yaml.safe_load((DOCUMENTED / f"{name}.yaml").read_text(encoding="utf-8"))
    ours = yaml.safe_load((ROOT / "programs" / f"{name}.yaml").read_text(encoding="utf-8"))
    keys, of_email = ADDED[name]
    assert not _changed(stated, ours)
    assert ours.keys() - stated.keys() == keys
    added = {key: ours["channels"][0][key] for key in ours["channels"][0].keys() - stated["channels"][0].keys()}
    assert added == {"minScore": 0.7, **of_email}


def _changed(stated, found, place=""):
    """Places at which `found` lacks what is stated, or says something else; keys may be added to mappings."""
    if isinstance(stated, dict) and isinstance(found, dict):
        return [bad for key in stated for bad in _changed(stated[key], found.get(key), f"{place}.{key}")]
    if isinstance(stated, list) and isinstance(found, list) and len(stated) == len(found):
        return [
            bad for at, pair in enumerate(zip(stated, found, strict=True)) for bad in _changed(*pair, f"{place}.{at}")
        ]
    same = stated == found or (isinstance(stated, str) and found == f"{stated}:00")  # a time has seconds when written
    return [] if same else [place]


def test_our_folder_is_within_this_versions_abilities():
    folder = load_programs(ROOT / "programs")
    assert sorted(folder.programs) == ["event-invitations", "music-feedback", "product-reviews"]
    assert sorted(folder.marketplaces) == ["AU", "BR", "DE", "FR", "IN", "JP", "UK", "US"]


def test_marketplace_zones_are_the_documented_ones():
    found = {code: entry.time_zone for code, entry in read_marketplaces(ROOT / "programs/marketplaces.yaml").items()}
    assert found == {
        "US": "America/New_York", "UK": "Europe/London", "DE": "Europe/Berlin", "FR": "Europe/Paris",
        "JP": "Asia/Tokyo", "IN": "Asia/Kolkata", "BR": "America/Sao_Paulo", "AU": "Australia/Sydney",
    }  # fmt: skip


def test_any_changed_key_changes_the_config_hash_and_nothing_else_does():
    assert a_program().config_hash == a_program().config_hash
    changes = [{"candidateTTLDays": 31}, {"marketplaces": ["US"]}, {"capScope": "all"}, {"deadline": "90min"}]
    assert len({a_program(**change).config_hash for change in [{}, *changes]}) == 5


# --- faults of a file -----------------------------------------------------------------------------


def test_every_fault_of_a_file_is_told_at_once_in_the_order_of_its_lines(broken):
    marketplaces = read_marketplaces(ROOT / "programs/marketplaces.yaml")
    faults = broken(
        ('programName: "E-Commerce Product Reviews"', 'programTitle: "Reviews"'),
        ('"JP"]', '"XX"]'),
        ('type: "athena"', 'type: "oracle"'),
        ("features: [", "features: [7, "),
        ("maxRequestsPerMonth: 3", "maxRequestsPerMonth: -1"),
        ('templateId: "review-request-v3"', 'templateId: "review-request-v9"'),
        ('"10:00"', "10:00"),
        ('"cron(0 2 * * ? *)"', '"cron(0 25 * * ? *)"'),
        ("candidateTTLDays: 30", "candidateTTLDays: soon\nenabled: true"),
        marketplaces=marketplaces,
        limits=abilities(),
    )
    places = [tuple(fault.split(": ", maxsplit=2)[:2]) for fault in faults]
    assert places == [
        (":1", "programName"),
        (":2", "programTitle"),
        (":4", "marketplaces.4"),
        (":8", "dataConnectors.0.type"),
        (":17", "scoringModels.0.features.0"),
        (":30", "filterChain.2.parameters.maxRequestsPerMonth"),
        (":37", "channels.0.config.templateId"),
        (":38", "channels.0.config.sendTime"),
        (":41", "batchSchedule"),
        (":42", "candidateTTLDays"),
        (":43", "enabled"),
    ]


TTL = "candidateTTLDays: 30"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (TTL, "", ":1: candidateTTLDays: this key is required and missing; add it"),
        ('      sendTime: "10:00"\n', "", ":36: channels.0.config.sendTime: this key is required and missing; add it"),
        (TTL, TTL + "\nowner: []", ":43: owner: no such key; check its spelling or remove it"),
        ('"10:00"', "10:00", ":38: channels.0.config.sendTime: write the time in quotes"),
        ('"10:00"', '"10 am"', ":38: channels.0.config.sendTime: write the time as hours and minutes"),
        ('"10:00"', '"24:00"', ":38: channels.0.config.sendTime: write"),
        ('"10:00"', '"10:00+02:00"', ":38: channels.0.config.sendTime: write"),
        ('"local"', '"Berlin"', ':39: channels.0.config.timezone: "local", or an IANA time zone'),
        ('filterId: "trust"', 'filterId: "thrust"', ":20: filterChain.0: filterId must be one of trust, eli"),
        ("maxRequestsPerMonth: 3", "{}", ":29: filterChain.2.parameters: give exactly one of maxRequestsPerMonth, "),
        ("maxRequestsPerMonth: 3", "{maxRequestsPerMonth: 3, maxRequestsPerWeek: 1}", ":29: filterChain.2.param"),
        ("order: 2", "order: 1", ":19: filterChain: order 1 stands more than once; each must be unique"),
        ('"US", "UK"', '"US", "US"', ":4: marketplaces: marketplace US stands more than once"),
        ('["US", "UK", "DE", "FR", "JP"]', "[]", ":4: marketplaces: tuple should have at least 1 item"),
        ('"US", "UK"', '"US", NO', ":4: marketplaces.1: input should be a valid string (got False)"),
        ("sagemaker://", "", ":16: scoringModels.0.endpoint: string should match"),
        ("enabled: true\nm", "enabled: perhaps\nm", ":3: enabled: input should be a valid boolean"),
        (TTL, TTL + '\ndeadline: "soon"', ':43: deadline: write a duration as "90d", "2h" or "90min" (got \'soon\')'),
    ],
)  # fmt: skip
def test_one_fault(broken, old, new, fault):
    (found,) = broken((old, new))
    assert found.startswith(fault)


def test_a_key_that_stands_twice_is_refused_because_yaml_would_keep_the_last(broken):
    assert broken(("order: 3\n", "order: 3\n    order: 4\n")) == [":29: order: the key stands twice; remove one"]


@pytest.mark.parametrize(
    ("cron", "fault"),
    [
        ("0 2 * * *", "write six fields"),
        ("cron(0 2 * * ?)", "write six fields"),
        ("rate(1 day)", "write six fields"),
        ("cron(0 24 * * ? *)", "hour '24': one number from 0 to 23"),
        ("cron(60 2 * * ? *)", "minute '60': one number from 0 to 59"),
        ("cron(*/15 2 * * ? *)", "minute '*/15'"),
        ("cron(² 2 * * ? *)", "minute '²'"),
        ("cron(0 2 * * * *)", "exactly one of day-of-month and day-of-week must be '?'"),
        ("cron(0 2 ? * ? *)", "exactly one of day-of-month and day-of-week must be '?'"),
        ("cron(0 2 1 * ? *)", "only daily and weekly batches"),
        ("cron(0 2 ? 1 MON *)", "only daily and weekly batches"),
        ("cron(0 2 ? * MON 2026)", "only daily and weekly batches"),
        ("cron(0 2 ? * 1 *)", "weekly batches run on Monday (MON or 2; AWS counts Sunday as 1)"),
        ("cron(0 2 ? * MON-FRI *)", "day-of-week 'MON-FRI'"),
    ],
)
def test_bad_schedule(broken, cron, fault):
    (found,) = broken(("cron(0 2 * * ? *)", cron))
    assert found.startswith(":41: batchSchedule: ")
    assert fault in found
    assert found.endswith(f"(got {cron!r})")


def test_unknown_marketplace_names_those_that_are_known(broken):
    known = dict.fromkeys(["US", "UK", "DE", "FR"])
    assert broken(marketplaces=known) == [
        ":4: marketplaces.4: 'JP' is not in marketplaces.yaml (known: DE, FR, UK, US); add it there"
    ]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"- programId: x\n", ":1: expected a mapping of keys, found list"),
        (b"", ":1: expected a mapping of keys, found NoneType"),
        (b"# a comment\nprogramId: [x\nenabled: true\n", ":3: not readable as YAML: "),
        (b"a: 1\n---\na: 2\n", ":2: not readable as YAML: "),
        (b"a: !!python/name:os.system\n", ":1: not readable as YAML: "),
        (b"a: \x07\n", ":1: not readable as YAML: "),
        (b"a: 2026-13-45\n", ":1: not readable as YAML: "),
        ("name: Küche\n".encode("latin-1"), ": not UTF-8 at byte 7; save the file as UTF-8"),
    ],
)
def test_a_file_that_is_no_mapping_is_one_fault(tmp_path, content, fault):
    path = tmp_path / "program.yaml"
    path.write_bytes(content)
    (found,) = faults_of(path)
    assert found.startswith(fault)


def test_absent_file_is_a_fault(tmp_path):
    assert faults_of(tmp_path / "none.yaml") == [": cannot be read: No such file or directory"]


# --- the folder -----------------------------------------------------------------------------------


def test_folder_tells_the_faults_of_all_files(tmp_path):
    marketplaces = (ROOT / "programs/marketplaces.yaml").read_text(encoding="utf-8")
    (tmp_path / "marketplaces.yaml").write_text(marketplaces, encoding="utf-8")
    (tmp_path / "a.yaml").write_text(BLOCK.replace("candidateTTLDays: 30", "candidateTTLDays: 0"), encoding="utf-8")
    (tmp_path / "b.yaml").write_text(BLOCK.replace('"JP"]', '"XX"]'), encoding="utf-8")
    (tmp_path / "c.yaml").write_text(BLOCK, encoding="utf-8")
    (tmp_path / "d.yaml").write_text(BLOCK, encoding="utf-8")
    with pytest.raises(ProgramFileError) as error:
        load_folder(tmp_path)
    places = [fault.removeprefix(f"{tmp_path}/").split(" ", maxsplit=2)[:2] for fault in error.value.args]
    assert places == [
        ["a.yaml:42:", "candidateTTLDays:"],
        ["b.yaml:4:", "marketplaces.4:"],
        ["d.yaml:1:", "programId:"],
    ]


def test_folder_without_marketplaces_says_so_and_still_reads_the_programs(tmp_path):
    (tmp_path / "a.yaml").write_text(BLOCK.replace("candidateTTLDays: 30", "ttl: 0"), encoding="utf-8")
    with pytest.raises(ProgramFileError) as error:
        load_folder(tmp_path)
    assert [fault.removeprefix(f"{tmp_path}/").split(": ")[:2] for fault in error.value.args] == [
        ["marketplaces.yaml", "cannot be read"],
        ["a.yaml:1", "candidateTTLDays"],
        ["a.yaml:42", "ttl"],
    ]


# --- what this version cannot carry out -----------------------------------------------------------

RECORDS = "this version cannot decide about its records (known: customer_profiles, deliveries, track_plays)"
FILTERS = "this version cannot evaluate it (known: trust)"
TEMPLATES = "(there are: event-invitation-v3, review-request-v3, track-feedback-v2)"
BEYOND = [
    f":13: dataConnectors.0.config.query: source table 'account_profiles': {RECORDS}",
    f":58: channels.0.config.templateId: no template is called 'event-invitation-v9' {TEMPLATES}",
]


@pytest.fixture
def beyond(tmp_path):
    """A folder with a program that asks for more than there is."""
    text = (DOCUMENTED / "event-invitations.yaml").read_text(encoding="utf-8")
    changed = text.replace("FROM customer_profiles", "FROM account_profiles").replace("invitation-v3", "invitation-v9")
    (tmp_path / "event-invitations.yaml").write_text(changed, encoding="utf-8")
    (tmp_path / "marketplaces.yaml").write_bytes((ROOT / "programs/marketplaces.yaml").read_bytes())
    return tmp_path


def test_a_program_beyond_this_version_is_refused_when_it_is_loaded(beyond):
    assert faults_of(beyond / "event-invitations.yaml", None, abilities()) == BEYOND
    less = replace(abilities(), filters={"trust"}, periods=["daily"])
    assert faults_of(DOCUMENTED / "event-invitations.yaml", None, less) == [
        f":32: filterChain.1.filterId: filter 'eligibility': {FILTERS}",
        f":35: filterChain.2.filterId: filter 'interest-match': {FILTERS}",
        f":40: filterChain.3.filterId: filter 'geographic': {FILTERS}",
        f":46: filterChain.4.filterId: filter 'frequency-cap': {FILTERS}",
        ":89: batchSchedule: this version runs no weekly batches (known: daily)",
    ]


def test_validate_refuses_what_the_definitions_refuse(beyond, monkeypatch):
    monkeypatch.setenv("ENGAGE_PROGRAMS", str(beyond))
    with pytest.raises(ProgramFileError) as error:
        load_programs(beyond)
    wanted = [f"{beyond}/event-invitations.yaml{fault}" for fault in BEYOND]
    assert list(error.value.args) == wanted
    folder = CliRunner().invoke(main, ["programs", "validate"])
    assert folder.exit_code == 1
    assert folder.output.splitlines() == [f"error: {fault}" for fault in wanted]
    file = CliRunner().invoke(main, ["programs", "validate", str(beyond / "event-invitations.yaml")])
    assert file.exit_code == 0, "as its author wrote it the file is right"
    assert file.output.splitlines()[1:] == [f"  {fault}" for fault in wanted]


def test_an_unknown_feature_is_named_with_its_line(tmp_path):
    path = tmp_path / "product-reviews.yaml"
    path.write_text(OURS.read_text().replace('"review_history"', '"reviews_history"'))

    (fault,) = faults_of(path, None, abilities())

    assert ":20: scoringModels.0.features.1: no feature is called 'reviews_history' (there are: category," in fault


def test_validate_accepts_our_file():
    result = CliRunner().invoke(main, ["programs", "validate", str(OURS)])
    assert (result.exit_code, result.output) == (0, f"{OURS}: valid\n")


# --- the schema for editors -----------------------------------------------------------------------


def test_published_schema_is_up_to_date():
    result = CliRunner().invoke(main, ["programs", "schema"])
    published = (ROOT / "docs" / "program.schema.json").read_text(encoding="utf-8")
    assert published == result.output, "run: engage programs schema > docs/program.schema.json"
    assert json.loads(published) == json_schema()


@pytest.mark.parametrize(
    "path", [OURS, *sorted(DOCUMENTED.glob("*.yaml"))], ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_schema_knows_every_key_of_a_good_file_and_no_other(path):
    value, schema = yaml.safe_load(path.read_text(encoding="utf-8")), json_schema()
    assert _mismatches(value, schema, schema) == []
    assert _mismatches(value | {"ttl": 1}, schema, schema) == ["ttl"]
    del value["programId"]
    assert _mismatches(value, schema, schema) == ["programId"]


def _mismatches(value, schema, root):
    """Keys of a YAML value that its JSON schema does not know or misses, and scalars of another type."""
    if "$ref" in schema:
        return _mismatches(value, root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root)
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return min((_mismatches(value, option, root) for option in options), key=len)
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        wrong = (
            [key for key in value if key not in properties] if schema.get("additionalProperties") is False else ["?"]
        )
        wrong += [key for key in schema.get("required", []) if key not in value]
        return wrong + [
            bad for key in value if key in properties for bad in _mismatches(value[key], properties[key], root)
        ]
    if isinstance(value, list):
        items = schema.get("items", {})
        return (
            [bad for item in value for bad in _mismatches(item, items, root)]
            if schema.get("type") == "array"
            else ["[]"]
        )
    types = {bool: ["boolean"], int: ["integer", "number"], float: ["number"], str: ["string"]}
    fits = (
        schema.get("type") in types[type(value)]
        and value in schema.get("enum", [value])
        and value == schema.get("const", value)
    )
    return [] if fits else [str(value)]


def test_schema_is_for_editors():
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["properties"]["candidateTTLDays"]["minimum"] == 1
    assert schema["$defs"]["EmailConfig"]["properties"]["sendTime"]["pattern"] == r"^([01]\d|2[0-3]):[0-5]\d$"
    described = [key for key, found in schema["properties"].items() if "description" in found]
    assert {"marketplaces", "batchSchedule", "candidateTTLDays", "deadline"} <= set(described)


def test_program_is_immutable():
    with pytest.raises(ValueError, match="frozen"):
        Program.model_validate(yaml.safe_load(BLOCK)).enabled = False
