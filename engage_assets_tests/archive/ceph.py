"""A real S3 server: one node of Ceph in memory with its gateway, from Debian packages that were only unpacked."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from engage_assets_tests.archive.servers import KEYS, PARTS, REGION, free_port, wait_for_port

HOME = PARTS / "ceph"
_PYTHON = "/usr/bin/python3"
_CAPS = {
    "mon.": ["mon", "allow *"],
    "client.admin": ["mon", "allow *", "osd", "allow *", "mds", "allow *", "mgr", "allow *"],
    "client.rgw": ["mon", "allow rwx", "osd", "allow rwx"],
    "osd.0": ["mon", "allow profile osd", "osd", "allow *"],
}
_SETTINGS = """\
[global]
fsid = {fsid}
mon_host = {monitor}
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
keyring = {folder}/keyring
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
mon_data_avail_crit = 1
mon_max_pg_per_osd = 1000
osd_crush_chooseleaf_type = 0
osd_objectstore = memstore
memstore_device_bytes = 2147483648
osd_class_load_list = *
osd_class_default_list = *
plugin_dir = {home}/usr/lib/ceph
erasure_code_dir = {libraries}/ceph/erasure-code
osd_class_dir = {libraries}/rados-classes
log_file = {folder}/$name.log
pid_file = {folder}/$name.pid
admin_socket = {folder}/$name.asok
run_dir = {folder}
crash_dir = {folder}
[mon.a]
mon_data = {folder}/mon
[osd.0]
osd_data = {folder}/osd
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:{port}
rgw_data = {folder}/rgw
"""


def find_ceph() -> bool:
    """Whether it can be started."""
    return (HOME / "usr/bin/radosgw").exists() and sys.platform == "linux" and Path(_PYTHON).exists()


@contextmanager
def running_ceph() -> Iterator[dict[str, str]]:
    """A new store, empty, that forgets everything at its end; gives the variables that make a process talk to it."""
    with TemporaryDirectory(prefix="engage-ceph-") as name:
        node = _Node(Path(name))
        try:
            node.start()
            yield node.environment
        finally:
            node.stop()


class _Node:
    """A monitor, a store and a gateway below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.libraries = next((HOME / "usr/lib").glob("*-linux-gnu"))
        self.port = free_port()
        self.monitor = f"[v2:127.0.0.1:{free_port()},v1:127.0.0.1:{free_port()}]"
        self.fsid = str(uuid4())
        self.processes: list[subprocess.Popen[bytes]] = []

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": KEYS[0],
            "AWS_SECRET_ACCESS_KEY": KEYS[1],
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{self.port}",
        }

    def start(self) -> None:
        for part in ("mon", "osd", "rgw"):
            (self.folder / part).mkdir()
        self._write()
        self._start_monitor()
        self._start_store()
        self._daemon("radosgw", "-n", "client.rgw")
        wait_for_port(self.port)
        self._run(
            *("radosgw-admin", "user", "create", "--uid=test", "--display-name=test"),
            *(f"--access-key={KEYS[0]}", f"--secret={KEYS[1]}"),
        )

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.send_signal(signal.SIGKILL)
            process.wait()

    def _write(self) -> None:
        settings = _SETTINGS.format(
            fsid=self.fsid,
            monitor=self.monitor,
            folder=self.folder,
            home=HOME,
            libraries=self.libraries,
            port=self.port,
        )
        (self.folder / "ceph.conf").write_text(settings)
        for name, caps in _CAPS.items():
            pairs = [word for cap in zip(caps[::2], caps[1::2], strict=True) for word in ("--cap", *cap)]
            create = [] if (self.folder / "keyring").exists() else ["--create-keyring"]
            self._run("ceph-authtool", *create, str(self.folder / "keyring"), "--gen-key", "-n", name, *pairs)

    def _start_monitor(self) -> None:
        plan = str(self.folder / "monmap")
        self._run("monmaptool", "--create", "--addv", "a", self.monitor, "--fsid", self.fsid, plan)
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", plan, "--keyring", str(self.folder / "keyring"))
        self._daemon("ceph-mon", "-i", "a")

    def _start_store(self) -> None:
        uuid = str(uuid4())
        self._ceph("osd", "new", uuid, "0")
        self._ceph("osd", "crush", "add", "osd.0", "1.0", "root=default", "host=here")
        self._ceph("auth", "add", "osd.0", "-i", str(self.folder / "keyring"))
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", uuid)
        self._daemon("ceph-osd", "-i", "0")

    def _ceph(self, *arguments: str) -> None:
        self._run(_PYTHON, str(HOME / "usr/bin/ceph"), "--connect-timeout=30", *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*self._command(program), *arguments],
            env=self._variables(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"{program} {arguments}: {done.stderr.decode()[-2000:]}"

    def _daemon(self, program: str, *arguments: str) -> None:
        """In the foreground, so that it is a process of ours that ends with us."""
        with (self.folder / f"{program}.out").open("wb") as out:
            process = subprocess.Popen(
                [*self._command(program), *arguments, "-f"],
                env=self._variables(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        self.processes.append(process)
        time.sleep(0.2)
        assert process.poll() is None, f"{program}: {(self.folder / f'{program}.out').read_text()[-2000:]}"

    def _command(self, program: str) -> list[str]:
        settings = ["-c", str(self.folder / "ceph.conf")]
        if program == _PYTHON:
            return [program]
        return [str(HOME / "usr/bin" / program), *([] if "tool" in program else settings)]

    def _variables(self) -> dict[str, str]:
        return {
            "PATH": f"{HOME}/usr/bin:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "CEPH_CONF": str(self.folder / "ceph.conf"),
            "LD_LIBRARY_PATH": f"{self.libraries}:{self.libraries}/ceph:{HOME}/lib/{self.libraries.name}",
            "PYTHONPATH": f"{HOME}/usr/lib/python3/dist-packages",
        }
