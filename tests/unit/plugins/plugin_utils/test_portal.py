"""Portals: what each router gets, that the programs which read it accept it, and what a user may add."""

import base64
import os
import re
import subprocess
from pathlib import Path

import jinja2
import jinja2.meta
import pytest
import yaml
from ansible_collections.multiverse.router_controller.plugins.module_utils import files as files_model
from ansible_collections.multiverse.router_controller.plugins.module_utils import mounts as mounts_model
from ansible_collections.multiverse.router_controller.plugins.plugin_utils import portal
from ansible_collections.multiverse.router_controller.plugins.plugin_utils.portal import PortalError, Portals
from ansible_collections.multiverse.router_controller.plugins.plugin_utils.topology import build
from ansible_collections.multiverse.router_controller.tests.unit.golden import GOLDEN

GOOD = Path(__file__).parent / "topology/good"
ROLES = Path(__file__).resolve().parents[4] / "roles"
TEMPLATES = ROLES / "portal/templates"
PACKAGES = ["nftables", "dnsmasq", "qemu-guest-agent"]
SCRIPTS = ["lib.sh", "packages.sh", "provision.sh"]
BUILD = "/var/lib/multiverse/network-controller/build.portal.multiverse"


def topology_of(case):
    made, problems = build(case["given"], case.get("universe", {}))
    assert not problems
    return made


def good(name):
    return topology_of(yaml.safe_load((GOOD / (name + ".yml")).read_text()))


@pytest.fixture(scope="module")
def portals():
    return Portals(ROLES / "portal", ROLES / "routers")


@pytest.fixture(scope="module")
def reference():
    return good("reference")


def contents(entries, path):
    """name -> (content, mode) of the files of one portal."""
    return {
        entry["path"][len(path) + 1 :]: (base64.b64decode(entry["content_b64"]), entry["mode"])
        for entry in entries
        if entry["state"] == "file"
    }


def rendered(portals, topology, index=0, base_files=None):
    router = topology["routers"][index]
    return contents(portals.router(router, topology, PACKAGES, base_files), router["portal"]["path"])


# --- what is in them --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index, name", [(0, "galaxy"), (1, "star")])
def test_the_reference_topology(portals, reference, index, name):
    golden = GOLDEN / "portal" / name
    found = rendered(portals, reference, index)
    expected = {str(path.relative_to(golden)): path.read_text() for path in golden.rglob("*") if path.is_file()}
    assert {path: content.decode() for path, (content, _mode) in found.items() if path not in SCRIPTS} == expected
    for script in SCRIPTS:
        assert found[script][0] == (ROLES / "portal/files" / script).read_bytes()
    assert [path for path, (_content, mode) in sorted(found.items()) if mode != "0644"] == [
        "packages.sh",
        "provision.sh",
    ]


def test_the_build_portal(portals, reference):
    found = contents(portals.build(reference, BUILD), BUILD)
    assert (
        "".join("{} {}\n".format(mode, path) for path, (_content, mode) in sorted(found.items()))
        == (GOLDEN / "portal/build.txt").read_text()
    )
    for path, (content, _mode) in found.items():
        if path.startswith("image/") or path in ("build", "runlevels"):
            assert content == (ROLES / "routers/files" / path).read_bytes()


@pytest.mark.parametrize("name", sorted(path.stem for path in GOOD.glob("*.yml")))
def test_every_good_topology_makes_files_that_the_module_takes(portals, name):
    topology = good(name)
    entries = portals.build(topology, BUILD)
    for router in topology["routers"]:
        entries += portals.router(router, topology, PACKAGES)
    made = files_model.normalize(entries, [BUILD] + [router["portal"]["path"] for router in topology["routers"]])
    assert len(made) == len(entries) and all(entry["owner"] == entry["group"] == "root" for entry in made)


def test_packages_are_the_common_ones_and_the_routers_own(portals, reference):
    router = dict(reference["routers"][0], packages=["tcpdump", "dnsmasq"])
    found = contents(portals.router(router, reference, PACKAGES), router["portal"]["path"])
    assert found["packages"][0] == b"dnsmasq\nnftables\nqemu-guest-agent\ntcpdump\n"


def test_keys_of_the_mirror_are_in_every_portal(portals, reference):
    alpine = dict(reference["alpine"], keys=[{"name": "lab.rsa.pub", "content": "\n  key\n\n"}])
    topology = dict(reference, alpine=alpine)
    assert rendered(portals, topology)["keys/lab.rsa.pub"] == (b"key\n", "0644")
    assert contents(portals.build(topology, BUILD), BUILD)["keys/lab.rsa.pub"] == (b"key\n", "0644")


def test_a_raised_revision_is_another_build_portal_and_no_other_router(portals, reference):
    newer = dict(reference, alpine=dict(reference["alpine"], revision=reference["alpine"]["revision"] + 1))
    assert portals.build(newer, BUILD) != portals.build(reference, BUILD)
    assert rendered(portals, newer) == rendered(portals, reference)


@pytest.mark.parametrize("release, branch", [("3.23", "v3.23"), ("3.23.1", "v3.23"), ("4.0.10", "v4.0")])
def test_the_branch_of_the_mirror(release, branch):
    assert portal.branch_url({"mirror": "http://m/alpine", "release": release}) == "http://m/alpine/" + branch


# --- templates --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", sorted(str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("*") if path.is_file())
)
def test_a_template_knows_only_the_topology_and_fails_without_it(portals, reference, name):
    assert name.endswith(".j2")
    environment = portals._jinja
    source = (TEMPLATES / name).read_text()
    used = jinja2.meta.find_undeclared_variables(environment.parse(source))
    assert used <= {"router", "topology"}
    if used:
        with pytest.raises(jinja2.UndefinedError):
            environment.get_template(name).render(router={}, topology={})
        # A key that is misspelled is an error, and no empty text.
        first = re.search(r"(router|topology)\.\w+", source).group()
        with pytest.raises(jinja2.UndefinedError):
            environment.from_string(source.replace(first, first + "x")).render(
                router=reference["routers"][0], topology=reference
            )


def test_an_egress_has_a_layer_of_its_own_over_the_common_ones(tmp_path, reference):
    role = tmp_path / "portal"
    for path, text in {
        "files/lib.sh": "lib",
        "files/packages.sh": "",
        "files/provision.sh": "",
        "templates/services.j2": "common {{ router.name }}\n",
        "templates/nics.j2": "",
        "templates/egress/direct/services.j2": "direct {{ topology.user }}\n",
        "templates/egress/direct/base-files/etc/x.j2": "{% if true %}\n  x\n{% endif %}\n",
        "templates/egress/other/services.j2": "{{ nothing }}",
    }.items():
        (role / path).parent.mkdir(parents=True, exist_ok=True)
        (role / path).write_text(text)
    found = rendered(Portals(role, ROLES / "routers"), reference)
    assert found["services"][0] == b"direct multiverse\n" and found["base-files/etc/x"][0] == b"  x\n"
    assert sorted(found) == sorted(SCRIPTS + ["base-files/etc/x", "nics", "packages", "repositories", "services"])


# --- the programs that read them --------------------------------------------------------------------------------------


def accepted(*command):
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return done.returncode == 0, done.stdout


def nft_accepts(path):
    return accepted("unshare", "--net", "nft", "-c", "-f", str(path))


def all_routers():
    for name in sorted(path.stem for path in GOOD.glob("*.yml")):
        topology = good(name)
        for index, router in enumerate(topology["routers"]):
            yield name + "-" + router["name"], topology, index


@pytest.mark.parametrize(
    "topology, index", [case[1:] for case in all_routers()], ids=[case[0] for case in all_routers()]
)
def test_nft_and_dnsmasq_accept_what_they_get(portals, topology, index, tmp_path):
    found = rendered(portals, topology, index)
    (tmp_path / "rules").write_bytes(found["base-files/etc/nftables.nft"][0])
    (tmp_path / "dnsmasq.conf").write_bytes(found["base-files/etc/dnsmasq.conf"][0])
    assert nft_accepts(tmp_path / "rules") == (True, "")
    ok, said = accepted("dnsmasq", "--test", "-C", str(tmp_path / "dnsmasq.conf"))
    assert ok and "syntax check OK" in said, said


def test_nft_and_dnsmasq_would_refuse_a_mistake(portals, reference, tmp_path):
    found = rendered(portals, reference)
    for name, program in (
        ("nftables.nft", nft_accepts),
        ("dnsmasq.conf", lambda path: accepted("dnsmasq", "--test", "-C", str(path))),
    ):
        path = tmp_path / name
        path.write_bytes(found["base-files/etc/" + name][0] + b"\nnonsense\n")
        assert not program(path)[0]


def test_nft_accepts_what_drops_everything():
    path = ROLES / "routers/files/image/usr/lib/multiverse/drop-all.nft"
    assert nft_accepts(path) == (True, "")
    chains = re.findall(r"type filter hook (\w+) priority filter; policy (\w+);", path.read_text())
    assert chains == [("input", "drop"), ("forward", "drop"), ("output", "drop")]


# --- what a user adds -------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "base"
    (made / "etc/dnsmasq.d").mkdir(parents=True)
    (made / "etc/dnsmasq.d/local.conf").write_text("no-resolv\n")
    (made / "usr").mkdir()
    (made / "usr/hook").write_bytes(b"\x7fELF\0\xff")
    (made / "usr/hook").chmod(0o750)
    (made / "empty").mkdir()
    return made


def test_a_users_files_are_added(portals, reference, folder):
    found = rendered(portals, reference, base_files=str(folder))
    assert found["base-files/etc/dnsmasq.d/local.conf"] == (b"no-resolv\n", "0644")
    assert found["base-files/usr/hook"] == (b"\x7fELF\0\xff", "0755")
    assert len(found) == len(rendered(portals, reference)) + 2


def _file(path):
    def make(folder):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("")

    return make


def _sparse(folder):
    _file("big")(folder)
    os.truncate(folder / "big", 10**12)  # more than memory: its size has to be asked first


def _links(path, target):
    return lambda folder: (folder / path).symlink_to(target)


@pytest.mark.parametrize(
    "make, message",
    [
        (
            _file("etc/hostname"),
            "router galaxy: base_files has base-files/etc/hostname, in the way of base-files/etc/hostname,",
        ),
        (_file("etc/hostname/x"), "base_files has base-files/etc/hostname/x, in the way of base-files/etc/hostname,"),
        (
            _file("etc/network"),
            "base_files has base-files/etc/network, in the way of base-files/etc/network/interfaces,",
        ),
        (_links("link", "/etc/passwd"), "link is no regular file"),
        (_links("link", "/missing"), "link is no regular file"),
        (_links("usr/link", "/etc"), "usr/link is no regular file"),
        (lambda folder: os.mkfifo(folder / "pipe"), "pipe is no regular file"),
        (_sparse, "router galaxy: base_files .* holds more than 16 MiB; share large folders as links"),
        (_file("etc/a\nb"), r"file name 'base-files/etc/a\\nb' has characters that cannot be printed; rename it"),
        (_file("etc/a\tb"), "cannot be printed"),
        (_file(os.fsdecode(b"etc/\xff")), "cannot be printed"),
    ],
    ids=[
        "ours",
        "below ours",
        "above ours",
        "link",
        "dangling link",
        "link to a folder",
        "pipe",
        "too big",
        "line end",
        "tab",
        "no text",
    ],
)
def test_what_a_user_may_not_add(portals, reference, folder, make, message):
    rendered(portals, reference, base_files=folder)
    make(folder)
    with pytest.raises(PortalError, match=message):
        rendered(portals, reference, base_files=folder)


def test_names_like_ours_are_no_conflict(portals, reference, folder):
    for path in ("etc/hostname2", "etc/network/interfaces.d/x", "etc/hostname.d", "nics", "provision.sh"):
        _file(path)(folder)
    found = rendered(portals, reference, base_files=folder)
    assert found["provision.sh"][0] and found["base-files/provision.sh"][0] == b""


def test_the_limit_counts_all_files(portals, reference, folder, monkeypatch):
    monkeypatch.setattr(portal, "MAX_BASE_FILES", 16)
    rendered(portals, reference, base_files=folder)  # 10 + 6 bytes
    _file("one")(folder)
    rendered(portals, reference, base_files=folder)
    (folder / "one").write_text("x")
    with pytest.raises(PortalError, match="holds more than"):
        rendered(portals, reference, base_files=folder)


# --- links ------------------------------------------------------------------------------------------------------------


LINKED = {
    "name": "star",
    "portal": {"path": "/portals/star"},
    "links": [{"name": "shared", "source": "/srv/a b"}, {"name": "logs", "source": "/var/log/x"}],
}
HOST = {"tag": "galaxy-portal", "mount": "/mnt/host"}


def test_links_are_bind_mounts_and_the_hosts_share_may_be_missing():
    found = [mounts_model.Mount(**entry) for entry in portal.mounts([LINKED, dict(LINKED, links=[])], HOST)]
    assert [(mount.source, mount.target, mount.bind, mount.nofail) for mount in found] == [
        ("/srv/a b", "/portals/star/shared", True, True),
        ("/var/log/x", "/portals/star/logs", True, True),
        ("galaxy-portal", "/mnt/host", False, True),
    ]
    assert "version=9p2000.L" in found[2].options.split(",")
    assert mounts_model.parse(mounts_model.render("", found)) == found
    assert portal.mounts([dict(LINKED, links=[])], None) == []


def test_the_mount_point_of_a_link_is_a_folder_of_the_portal(portals, reference):
    router = dict(reference["routers"][0], links=LINKED["links"])
    entries = portals.router(router, reference, PACKAGES)
    path = router["portal"]["path"]
    folders = [entry["path"] for entry in entries if entry["state"] == "directory"]
    assert {path, path + "/shared", path + "/logs", path + "/base-files/etc/network"} <= set(folders)
