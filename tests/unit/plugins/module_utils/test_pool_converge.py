"""Converging pools: real directories, and the pools of libvirt's test driver."""

import getpass
import grp
import os

import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils import pool_converge, pools
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.libvirt_connection import (
    connect,
    find_pool,
)

FOREIGN = "<pool type='dir'><name>images</name><target><path>%s</path></target></pool>"


class Flagless:
    """A pool of the test driver, which refuses the flags of XMLDesc that real drivers know."""

    def __init__(self, pool):
        self._pool = pool

    def __getattr__(self, name):
        return getattr(self._pool, name)

    def XMLDesc(self, flags):  # noqa: N802, libvirt's name
        return self._pool.XMLDesc()


@pytest.fixture
def connection(monkeypatch):
    def find(opened, name):
        pool = find_pool(opened, name)
        return pool and Flagless(pool)

    monkeypatch.setattr(pool_converge, "find_pool", find)
    with connect("test:///default") as opened:
        yield opened
        left = find_pool(opened, "images")
        if left is not None:
            if left.isActive():
                left.destroy()
            left.undefine()


@pytest.fixture
def images(tmp_path):
    group = grp.getgrgid(os.getgid()).gr_name
    return pools.from_declared("images", str(tmp_path / "images"), getpass.getuser(), group, "0750")


def test_a_new_pool_gets_its_directory_and_runs(connection, images):
    plan, summary = pool_converge.converge(connection, [images])
    assert summary == [{"name": "images", "outcome": "created"}]
    assert os.stat(images.path).st_mode & 0o7777 == 0o750
    pool = find_pool(connection, "images")
    assert pool.isActive() and pool.autostart()
    assert pool.UUIDString() == pools.mark("images")


def test_the_second_run_changes_nothing(connection, images):
    pool_converge.converge(connection, [images])
    plan, summary = pool_converge.converge(connection, [images])
    assert not plan and summary[0]["outcome"] == "unchanged"


def test_check_mode_touches_nothing(connection, images):
    plan, summary = pool_converge.converge(connection, [images], apply=False)
    assert plan and summary[0]["outcome"] == "created"
    assert not os.path.exists(images.path) and find_pool(connection, "images") is None
    assert pool_converge.converge(None, [images], apply=False) == (plan, summary)


def test_every_drift_is_repaired(connection, images):
    pool_converge.converge(connection, [images])
    pool = find_pool(connection, "images")
    pool.destroy()
    pool.setAutostart(False)
    os.chmod(images.path, 0o777)
    plan, summary = pool_converge.converge(connection, [images])
    assert [change.field for change in plan] == ["directory.mode", "autostart", "active"]
    assert summary[0]["outcome"] == "updated"


def test_a_pool_moves_and_leaves_its_data(connection, images, tmp_path):
    pool_converge.converge(connection, [images])
    kept = tmp_path / "images" / "disk.qcow2"
    kept.write_text("data")
    moved = images._replace(path=str(tmp_path / "elsewhere"))
    plan, summary = pool_converge.converge(connection, [moved])
    assert plan.effect == "restart"
    assert kept.read_text() == "data"
    assert pools.from_xml(find_pool(connection, "images").XMLDesc()).path == moved.path


def test_removal_keeps_the_data_and_foreign_pools(connection, images):
    pool_converge.converge(connection, [images])
    plan, summary = pool_converge.converge(connection, [], ["images"])
    assert summary[0]["outcome"] == "removed" and find_pool(connection, "images") is None
    assert os.path.isdir(images.path)
    connection.storagePoolDefineXML(FOREIGN % "/elsewhere")
    plan, summary = pool_converge.converge(connection, [], ["images"])
    assert not plan and summary[0]["outcome"] == "foreign"
    with pytest.raises(MultiverseError, match="pool images exists in libvirt as type dir at /elsewhere"):
        pool_converge.converge(connection, [images])


@pytest.mark.parametrize("path, said", [("file", "is no directory"), ("file/below", "is a file")])
def test_a_file_in_the_way_is_an_error(connection, images, tmp_path, path, said):
    (tmp_path / "file").write_text("")
    with pytest.raises(MultiverseError, match=said):
        pool_converge.converge(connection, [images._replace(path=str(tmp_path / path))])


def test_an_unknown_owner_is_an_error(connection, images):
    with pytest.raises(MultiverseError, match="cannot get owner nobody-of-this-name"):
        pool_converge.converge(connection, [images._replace(owner="nobody-of-this-name")])
