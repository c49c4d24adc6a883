"""Exports: which there are, and what of them is cleaned."""

import polars as pl
import pytest

from engage_assets.archive.export_register import note_export, noted_exports
from engage_assets.archive.exports import clean_exports
from engage_assets.archive.mentions import Mention
from engage_assets.domain.errors import EngageError

EMAIL = "canary@example.org"


def test_exports_are_remembered_once_also_when_they_are_gone(tmp_path):
    register = tmp_path / "home" / "exports.jsonl"
    assert noted_exports(register) == []
    for name in ("a.csv", "b\n.parquet", "a.csv"):
        note_export(register, tmp_path / name)
    assert noted_exports(register) == [tmp_path / "a.csv", tmp_path / "b\n.parquet"]
    register.write_text("no")
    with pytest.raises(EngageError, match="not a list of exports"):
        noted_exports(register)


def cleaned(path, *values):
    mention = Mention("fan-7", set(values))
    done = clean_exports([path, path.with_name("gone.csv")], mention, lambda: None)
    assert (done.gone, done.unreadable) == (1, [])
    return done.records


def test_a_csv_keeps_its_empty_texts_and_nulls(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(f'fanId,email,note,number\nfan-7,{EMAIL},"",1.50\nfan-7,,"a ""b""\nc",2\nfan-70,{EMAIL},x,\n')
    assert cleaned(path) == 1
    assert (
        path.read_text()
        == f'fanId,email,note,number\nfan-7,[redacted],"",1.50\nfan-7,,"a ""b""\nc",2\nfan-70,{EMAIL},x,\n'
    )
    assert cleaned(path) == 0


def test_parquet_of_any_shape_is_cleaned_and_keeps_its_schema(tmp_path):
    path = tmp_path / "a.parquet"
    frame = pl.DataFrame(
        {
            "referenceId": ["e_s_fan-7", "e_s_fan-70", "x"],
            "phone_number": ["1", "1", "1"],
            "contacts": [[EMAIL, "o@example.org"], [EMAIL], []],
            "who": [{"email": "e", "n": 1}, {"email": f"to {EMAIL}", "n": 2}, None],
        }
    )
    frame.write_parquet(path)
    assert cleaned(path, EMAIL, "e") == 2
    found = pl.read_parquet(path)
    assert found.schema == frame.schema
    assert found["phone_number"].to_list() == ["[redacted]", "1", "1"]
    assert found["contacts"].to_list() == [["[redacted]", "o@example.org"], ["[redacted]"], []]
    assert found["who"].to_list() == [{"email": "[redacted]", "n": 1}, {"email": "[redacted]", "n": 2}, None]


@pytest.mark.parametrize("name", ["a.txt", "a.parquet"])
def test_what_is_no_export_is_reported(tmp_path, name):
    (tmp_path / name).write_bytes(b"PAR?")
    assert clean_exports([tmp_path / name], Mention("fan-7"), lambda: None).unreadable == [str(tmp_path / name)]
