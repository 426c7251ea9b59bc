"""What the lab reads from and writes for other programs."""

import json
import pathlib
import sys

import pytest
import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "lab"))

from multiverse_lab import cgroup, cli, clients, debs, internet, inventory, model, netns, rootfs, run, web  # noqa: E402
from multiverse_lab.errors import LabError  # noqa: E402


@pytest.fixture
def lab(tmp_path):
    return model.Lab("lab", 3, tmp_path, tmp_path / "cache")


HYBRID = """tmpfs /sys/fs/cgroup tmpfs rw 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0
cgroup /sys/fs/cgroup/systemd cgroup rw,name=systemd 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0
"""


@pytest.mark.parametrize(
    "mounts, expected",
    [
        (HYBRID, ["/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"]),
        ("cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n", ["/sys/fs/cgroup"]),
    ],
)
def test_cgroup_hierarchies(mounts, expected):
    assert [str(path) for path in cgroup.hierarchies(mounts)] == expected


def test_no_cgroup_v2():
    with pytest.raises(LabError, match="mount -t cgroup2"):
        cgroup.hierarchies("tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /c cgroup rw,name=systemd 0 0\n")


@pytest.mark.parametrize(
    "texts, expected",
    [
        (["nameserver 10.0.0.53\n"], ["10.0.0.53"]),
        (["search x\nnameserver 127.0.0.53\n", "nameserver 9.9.9.9\nnameserver 1.1.1.1\n"], ["9.9.9.9", "1.1.1.1"]),
        (["nameserver fe80::1\nnameserver 192.168.1.1\n"], ["192.168.1.1"]),
        (["# nameserver 1.1.1.1\nnameserver\n", ""], []),
        ([], []),
    ],
)
def test_nameservers(texts, expected):
    assert internet.pick_nameservers(*texts) == expected


@pytest.mark.parametrize(
    "uris, expected",
    [
        (
            ["http://m.example/debian/", "http://m.example/debian-security"],
            ("http://m.example/debian", "http://m.example/debian-security"),
        ),
        (
            ["https://other.example/tools", "http://m.example/debian"],
            ("http://m.example/debian", "http://m.example/debian-security"),
        ),
    ],
)
def test_mirrors(uris, expected):
    assert rootfs.pick_mirrors(uris) == expected


@pytest.mark.parametrize("uris", [[], ["https://other.example/tools"]])
def test_without_a_debian_mirror_there_is_no_lab(uris):
    with pytest.raises(LabError, match="no source that ends in /debian"):
        rootfs.pick_mirrors(uris)


@pytest.mark.parametrize(
    "dump, environment, expected",
    [
        (
            'Acquire "";\nAcquire::Check-Date "false";\nAcquire::Languages "none";\n',
            {},
            'Acquire::Check-Date "false";\n',
        ),
        ("", {"http_proxy": "http://p:3128"}, 'Acquire::http::Proxy "http://p:3128";\n'),
        ('Acquire::http::Proxy "http://a";\n', {"http_proxy": "http://b"}, 'Acquire::http::Proxy "http://a";\n'),
        ("", {}, ""),
    ],
)
def test_apt_options(dump, environment, expected):
    assert rootfs.apt_options(dump, environment) == expected


LEASE = "ip=10.1.1.5\nmask=24\nrouter=10.1.1.1 10.1.1.9\ndns=10.1.1.1\nlease=60\nserverid=10.1.1.1\nHOME=/\n"


def test_lease():
    lease = clients.parse_lease(LEASE, 1000.0)
    assert lease == {
        "address": "10.1.1.5",
        "prefix": 24,
        "router": "10.1.1.1",
        "dns": ["10.1.1.1"],
        "domain": None,
        "server": "10.1.1.1",
        "expires": 1060.0,
    }


def test_lease_without_router_and_dns():
    lease = clients.parse_lease("ip=10.1.1.5\nmask=24\nlease=60\n", 0)
    assert (lease["router"], lease["dns"]) == (None, [])


@pytest.mark.parametrize("words", ["", "ip=10.1.1.500 mask=24", "ip=10.1.1.5 mask=40", "ip=1.2.3.4 lease=x"])
def test_bad_lease(words):
    with pytest.raises(LabError, match="no usable lease"):
        clients.parse_lease(words.replace(" ", "\n"), 0)


def test_clients_keep_their_index(lab, monkeypatch):
    monkeypatch.setattr(clients, "bridges", lambda _lab: ["galaxy0", "star0"])
    first, second = clients.find(lab, "galaxy0", 1), clients.find(lab, "star0", 1)
    assert [first.index, second.index, clients.find(lab, "galaxy0", 1).index] == [1, 2, 1]
    assert [client.namespace for client in clients.known(lab)] == ["mv3-c1", "mv3-c2"]
    with pytest.raises(LabError, match="galaxy0, star0"):
        clients.find(lab, "nowhere", 1)
    assert len(clients.known(lab)) == 2


@pytest.mark.parametrize(
    "value",
    [
        {"a": {"b": [1, "two", None, {"c": "d\ne"}], "empty": [], "none": {}}, "yes": True, "release": "3.20"},
        [[1, 2], {"x": "#"}],
        "only a string: with a colon",
    ],
)
def test_yaml_is_what_it_says(value):
    assert yaml.safe_load(inventory.to_yaml(value)) == value


def test_inventory(lab):
    key = lab.cache / "alpine" / "keys" / internet.MIRROR_KEY
    run.write_atomic(key, "-----BEGIN PUBLIC KEY-----\n")
    for uplink_only in (False, True):
        path = inventory.write(lab, uplink_only)
        host = yaml.safe_load(path.read_text())["universe"]["hosts"]["lab"]
        assert host["ansible_host"] == "198.18.3.2"
        assert "StrictHostKeyChecking=yes" in host["ansible_ssh_common_args"]
        assert ("multiverse_alpine_mirror" in host) is not uplink_only
    assert path == lab.checkout / ".lab" / "inventory.yml"
    inventory.write(lab, False)
    host = yaml.safe_load(path.read_text())["universe"]["hosts"]["lab"]
    assert host["multiverse_alpine"]["keys"] == [{"name": key.name, "content": key.read_text()}]
    for folder, target in ((path.parent, "../inventory/group_vars"), (lab.directory, "../../inventory/group_vars")):
        assert (folder / "group_vars").readlink() == pathlib.Path(target)
    inventory.remove(lab)
    assert not path.is_symlink()


@pytest.mark.parametrize(
    "name, others, expected",
    [
        (
            "vim_2_amd64.deb",
            ["vim_1_amd64.deb", "vim_2_amd64.deb", "vim-tiny_1_amd64.deb", "vim_1_all.deb"],
            ["vim_1_amd64.deb"],
        ),
        ("libc6_2.36-9+deb12u14_amd64.deb", [], []),
    ],
)
def test_outdated_packages(name, others, expected):
    assert debs.outdated(name, others) == expected


def test_fetched_packages_reach_the_next_host(tmp_path):
    kept, old, new = tmp_path / "kept", tmp_path / "old", tmp_path / "new"
    for version in ("1", "2"):
        run.write_atomic(old / debs.ARCHIVES / ("vim_%s_amd64.deb" % version), version)
        debs.take(kept, old)
    debs.give(kept, new)
    debs.take(kept, new)
    assert [path.name for path in (new / debs.ARCHIVES).iterdir()] == ["vim_2_amd64.deb"]
    assert [path.name for path in kept.iterdir()] == ["vim_2_amd64.deb"]


def test_rules_keep_the_management_network_closed(lab):
    rules = netns.exit_rules(lab)
    assert rules.startswith("table ip multiverse_lab_3\ndelete table ip multiverse_lab_3\n")  # replaced in one go
    assert 'iifname "mv3-m" drop' in rules and 'oifname "mv3-m" drop' in rules


@pytest.mark.parametrize("uplink_only, present", [(False, True), (True, False)])
def test_uplink_only_has_no_web_names(lab, uplink_only, present):
    command = " ".join(internet.dns_command(lab, ["10.0.0.53"], uplink_only))
    assert ("www.internet.test" in command) is present
    assert "--server=10.0.0.53" in command and "dns.internet.test" in command


@pytest.mark.parametrize("client, shown", [("::ffff:198.19.100.2", "198.19.100.2"), ("2001:db8::1", "2001:db8::1")])
def test_page_says_who_asked(client, shown):
    assert web.visit(client, "www.internet.test", "/") == {"client": shown, "host": "www.internet.test", "path": "/"}


def test_a_reader_sees_all_of_a_file_or_nothing(tmp_path):
    path = tmp_path / "a" / "b.json"
    run.write_json(path, {"x": 1})
    assert json.loads(path.read_text()) == {"x": 1}
    assert [item.name for item in path.parent.iterdir()] == ["b.json"]
    path.write_text("{")
    assert run.read_json(path, "default") == "default"


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["ssh", "--", "ls", "-l"], ["ls", "-l"]),
        (["ssh"], []),
        (["client", "star0", "--", "a", "--", "b"], ["a", "--", "b"]),
    ],
)
def test_command_after_the_dashes(arguments, words, monkeypatch):
    seen = []
    monkeypatch.setattr(cli.os, "geteuid", lambda: 0)
    for verb in ("ssh", "client"):
        monkeypatch.setattr(cli, verb, lambda options: seen.append(options.command) or 0)
    assert cli.main(arguments) == 0
    assert seen == [words]


def test_foreseeable_errors_are_one_line(capsys, monkeypatch):
    def fail(_options):
        raise LabError("no disk; buy one")

    monkeypatch.setattr(cli, "status", fail)
    assert cli.main(["status"]) == 1
    assert capsys.readouterr().err == "lab: no disk; buy one\n"
