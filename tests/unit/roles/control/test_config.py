"""The configuration file: what is wrong in it is named."""

import json
import re

import pytest
from multiverse import config
from multiverse.errors import MultiverseError

ROUTER = {
    "name": "galaxy", "kind": "galaxy", "stage": 0, "requires": None,
    "portal": {"tag": "galaxy-portal", "mount": "/mnt/galaxy-portal"},
}  # fmt: skip


def made(**members):
    return dict({"connect_uri": "qemu:///session", "routers": [ROUTER]}, **members)


def test_defaults():
    parsed = config.parse(json.dumps(made(unknown=1)))
    assert parsed.socket == "/run/multiverse/admin.sock" and parsed.heartbeat == 5
    assert parsed.routers == [config.Router("galaxy", "galaxy", 0, None, "galaxy-portal", "/mnt/galaxy-portal")]
    assert config.parse(json.dumps(made(routers=[]))).routers == []
    assert config.parse(json.dumps(made(heartbeat="7"))).heartbeat == 7


WRONG = [
    ([], "routers"),
    ({}, "routers"),
    (made(routers={}), "routers"),
    (made(routers=[5]), "routers[0]"),
    (made(routers=[ROUTER, dict(ROUTER, name="../x")]), "routers[1].name"),
    (made(routers=[dict(ROUTER, name=None)]), "routers[0].name"),
    (made(routers=[ROUTER, ROUTER]), "twice"),
    (made(routers=[dict(ROUTER, portal={"mount": "mnt"})]), "routers[0].portal.mount"),
    (made(routers=[dict(ROUTER, portal={"mount": "/mnt/../etc"})]), "routers[0].portal.mount"),
    (made(routers=[dict(ROUTER, portal="/mnt")]), "routers[0].portal"),
    (made(routers=[dict(ROUTER, stage=True)]), "routers[0].stage"),
    (made(connect_uri=5), "connect_uri"),
    (made(heartbeat="5s"), "heartbeat"),
    (made(heartbeat=0), "heartbeat"),
]


@pytest.mark.parametrize("data, where", WRONG)
def test_wrong(data, where):
    with pytest.raises(MultiverseError, match=re.escape(where)):
        config.parse(json.dumps(data))


def test_a_missing_or_damaged_file_is_named(tmp_path):
    path = tmp_path / "routerd.json"
    for content in (None, b"{", b"\xff"):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(MultiverseError, match="routerd.json.*run the role 'control'"):
            config.load(str(path))
