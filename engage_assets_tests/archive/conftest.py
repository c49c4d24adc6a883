"""Servers for the tests of streams and buckets, started once; skipped with a line where they are not installed."""

import sys
from collections.abc import Iterator

import pytest

from engage_assets_tests.archive.ceph import find_ceph, running_ceph
from engage_assets_tests.archive.servers import Server, find_kinesalite, running_kinesalite, running_moto
from engage_assets_tests.conftest import _need


@pytest.fixture(scope="session")
def kinesalite() -> Iterator[Server]:
    """A server of Kinesis."""
    _need(find_kinesalite(), "kinesalite", "make parts (it needs Node.js and npm)")
    with running_kinesalite() as server:
        yield server


@pytest.fixture(scope="session")
def moto() -> Iterator[Server]:
    """A server of DynamoDB, its streams, and S3."""
    with running_moto(sys.executable) as server:
        yield server


@pytest.fixture(scope="session")
def ceph() -> Iterator[dict[str, str]]:
    """The variables of a real S3 server."""
    _need(find_ceph(), "Ceph", "make soak-parts (it needs apt and dpkg of Debian)")
    with running_ceph() as environment:
        yield environment
