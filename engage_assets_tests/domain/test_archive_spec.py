"""`programs/demand-archive.yaml`: read like a program, all faults at once, and a folder without it is as before."""

from pathlib import Path

import pytest
import yaml

from engage_assets.domain.archive_spec import DemandArchive
from engage_assets.domain.errors import ProgramFileError
from engage_assets.programs import load_folder, read_archive, read_single

PROGRAMS = Path(__file__).parent.parent.parent / "programs"

NO_INTEGER = "input should be a valid integer, unable to parse string as an integer"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "marketplaces.yaml").write_text((PROGRAMS / "marketplaces.yaml").read_text())
    return tmp_path


def test_ours_is_valid_and_says_the_defaults():
    assert load_folder(PROGRAMS).archive == DemandArchive(owners=("team:archive",))


def test_a_folder_without_one_has_none(folder):
    assert load_folder(folder).archive is None
    assert read_archive(folder) is None


def test_an_empty_section_is_the_default(folder):
    (folder / "any-name.yaml").write_text("demandArchive:\n")
    assert read_archive(folder) == DemandArchive()


def test_every_fault_is_named_at_once(folder):
    path = folder / "a.yaml"
    path.write_text(
        "demandArchive:\n  rot: x\n  workers: 0\n  retentionDays:\n    demand: soon\n  workers: 1\nmore: 1\n"
    )

    with pytest.raises(ProgramFileError) as shown:
        load_folder(folder)

    assert shown.value.args == (
        f"{path}:2: demandArchive.rot: no such key; check its spelling or remove it",
        f"{path}:5: demandArchive.retentionDays.demand: {NO_INTEGER} (got 'soon')",
        f"{path}:6: workers: the key stands twice; remove one",
        f"{path}:7: more: no such key; check its spelling or remove it",
    )


def test_there_is_one_in_a_folder(folder):
    for name in ("a", "b"):
        (folder / f"{name}.yaml").write_text("# the archive\ndemandArchive: {}\n")

    with pytest.raises(ProgramFileError, match=r"b\.yaml:2: demandArchive: another file of the folder has it too"):
        load_folder(folder)


def test_a_broken_program_beside_it_does_not_stop_the_worker(folder):
    (folder / "a-program.yaml").write_text("programId: [")
    (folder / "archive.yaml").write_text("demandArchive:\n  root: s3://bucket/archive\n")

    found = read_archive(folder)

    assert found is not None
    assert found.root == "s3://bucket/archive"


def test_what_is_read_can_be_written_and_read_again(tmp_path):
    path = tmp_path / "a.yaml"
    spec = DemandArchive(root="elsewhere", retention_days={"errors": 90})
    path.write_text(yaml.safe_dump({"demandArchive": spec.model_dump(by_alias=True)}))

    assert read_single(path, "demandArchive") == spec
