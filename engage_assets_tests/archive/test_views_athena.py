import json
import re

import pytest
import sqlglot
from sqlglot import exp

from engage_assets.archive.schemas import SCHEMAS, TYPES, refuse_evolution
from engage_assets.archive.views_athena import athena_ddl
from engage_assets.domain.errors import EngageError


def test_every_statement_is_one_that_the_dialect_has():
    texts = athena_ddl("s3://bucket/some/prefix/").removesuffix(";\n").split(";\n\n")
    kinds = []
    for text in texts:  # Athena reads tables as Hive does, and views as Trino does
        (statement,) = sqlglot.parse(text, read="hive" if " TABLE " in text else "trino")
        assert isinstance(statement, exp.Create)
        kinds.append(statement.kind)
    assert kinds == ["TABLE", "VIEW"] * len(TYPES) + ["VIEW"] * 3


@pytest.mark.parametrize("kind", TYPES)
def test_a_table_states_the_committed_schema_with_plain_times(kind):
    texts = re.findall(r"'avro.schema.literal' = '(.*)'\)", athena_ddl("s3://bucket"))
    stated = json.loads(texts[TYPES.index(kind)])
    assert {one["name"] for one in stated["fields"]} == {one["name"] for one in SCHEMAS[kind]["fields"]}
    assert "timestamp-micros" not in json.dumps(stated)
    assert all("type changed" in fault for fault in refuse_evolution(SCHEMAS[kind], stated))


def test_columns_times_and_places():
    text = athena_ddl("s3://bucket/prefix")
    assert "`date` struct<requested:bigint,triggered:bigint,notified:bigint,deleted:bigint>" in text
    assert "LOCATION 's3://bucket/prefix/data/demand/'" in text
    assert "'s3://bucket/prefix/data/sale/partition_date=${partition_date}/'" in text
    assert 'CAST(from_unixtime("requesteddatetime" / 1e6) AS timestamp) AS "requesteddatetime"' in text


@pytest.mark.parametrize("location", ["bucket", "s3://", "s3://bucket/'; DROP TABLE demand; --", "s3://bucket/a b"])
def test_a_location_that_is_none(location):
    with pytest.raises(EngageError, match="s3://bucket/prefix"):
        athena_ddl(location)
