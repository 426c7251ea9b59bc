"""Which images are missing, and that each is built once."""

import hashlib
import os
import pwd
from types import SimpleNamespace

import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils import image_converge, image_store
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.image_converge import Images

ROUTERS = [
    {"name": "galaxy", "packages": ["dnsmasq", "openvpn"]},
    {"name": "star", "packages": ["tor", "dnsmasq"]},
    {"name": "second", "packages": ["openvpn", "dnsmasq", "openvpn"]},
]


class Machine:
    """Folders of a universe; every build is the one line that it is here."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.built = folder, []
        for name in ("base-images", "os-images", "portal"):
            (folder / name).mkdir()
        (folder / "alpine.qcow2").write_bytes(b"alpine")
        (folder / "portal/build").write_text("#!/bin/sh\n")
        monkeypatch.setattr(image_store.os, "chown", lambda path, uid, gid: None)
        monkeypatch.setattr(image_converge, "Build", self._build)
        decided = SimpleNamespace(accel="tcg", cpu="qemu64", warning="slow")
        monkeypatch.setattr(image_converge.acceleration, "read", lambda requested, user: decided)

    def _build(self, connection, image, packages, portal, owner, acceleration):
        def run(base, timeout):
            assert os.path.exists(base) and owner == (0, 0)
            self.built.append(packages)
            with open(image.disk, "w") as file:
                file.write("disk")

        return SimpleNamespace(run=run)

    def images(self, **more):
        return Images(
            dict(
                {
                    "base_folder": str(self.folder / "base-images"),
                    "image_folder": str(self.folder / "os-images"),
                    "portal": str(self.folder / "portal"),
                    "user": "root",
                    "uri": "qemu:///session",
                    "timeout": 60,
                    "acceleration": "auto",
                    "routers": ROUTERS,
                    "source": str(self.folder / "alpine.qcow2"),
                    "sha512": hashlib.sha512(b"alpine").hexdigest(),
                },
                **more,
            )
        )


@pytest.fixture
def machine(tmp_path, monkeypatch):
    return Machine(tmp_path, monkeypatch)


def fields(plan):
    return [(change.field, change.after) for change in plan]


def test_one_image_per_set_of_packages_built_once(machine):
    images = machine.images()
    assert fields(images.plan()) == [
        ("base", str(machine.folder / "alpine.qcow2")),
        ("packages", ["dnsmasq", "openvpn"]),
        ("packages", ["dnsmasq", "tor"]),
    ]
    assert images.to_result()["images"] == {} and machine.built == []
    images.apply(None)
    assert machine.built == [["dnsmasq", "openvpn"], ["dnsmasq", "tor"]]
    made = images.to_result()
    assert made["images"]["galaxy"] == made["images"]["second"] != made["images"]["star"]
    assert made["acceleration"] == {"accel": "tcg", "cpu": "qemu64", "warning": "slow"}

    again = machine.images()
    assert not again.plan() and again.to_result() == made
    again.apply(None)
    assert len(machine.built) == 2


@pytest.mark.parametrize("change", ["portal", "mode", "packages", "sha512"])
def test_other_inputs_build_another_image_and_the_old_one_stays(machine, change):
    machine.images().apply(None)
    before = set(os.listdir(machine.folder / "os-images"))
    arguments = {}
    if change == "portal":
        (machine.folder / "portal/build").write_text("#!/bin/sh\n# newer\n")
    elif change == "mode":
        (machine.folder / "portal/build").chmod(0o755)
    elif change == "packages":
        arguments["routers"] = ROUTERS[:1] + [{"name": "star", "packages": ["tor"]}]
    else:
        (machine.folder / "alpine.qcow2").write_bytes(b"newer")
        arguments["sha512"] = hashlib.sha512(b"newer").hexdigest()
    images = machine.images(**arguments)
    assert images.plan()
    images.apply(None)
    assert not machine.images(**arguments).plan()
    assert before < set(os.listdir(machine.folder / "os-images"))


def test_a_preview_before_there_is_a_portal_or_a_user(machine):
    (machine.folder / "portal/build").unlink()
    (machine.folder / "portal").rmdir()
    images = machine.images(user="nobody-of-that-name")
    with pytest.raises(KeyError):
        pwd.getpwnam("nobody-of-that-name")
    assert [change.name for change in images.plan()] == ["alpine.qcow2", "router image", "router image"]
    assert images.to_result()["images"] == {}
    with pytest.raises(MultiverseError, match="user nobody-of-that-name does not exist; the role storage"):
        images.apply(None)
