"""Names, addresses and records of a lab: derived, short enough, and never another lab's."""

import ipaddress
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "lab"))

from multiverse_lab import model, registry, run, state  # noqa: E402
from multiverse_lab.errors import LabError  # noqa: E402

CHECKOUT = pathlib.Path("/checkout")


def lab(index=1, name="lab"):
    return model.Lab(name, index, CHECKOUT, pathlib.Path("/cache"))


@pytest.mark.parametrize("name", ["lab", "a", "lab-2", "x" * 24])
def test_name_is_taken(name):
    assert model.check_name(name) == name


@pytest.mark.parametrize("name", ["", "Lab", "2lab", "-a", "a/b", "..", "a b", "a\n", "x" * 25])
def test_name_is_refused(name):
    with pytest.raises(LabError, match="lab name"):
        model.check_name(name)


@pytest.mark.parametrize("index", [1, 9, model.MAX_INDEX])
def test_interface_names_fit_the_kernel(index):
    one = lab(index)
    assert all(len(name) <= 15 for name in (one.management, one.exit, one.universe, one.internet, one.client(99)))


@pytest.mark.parametrize("name", ["universe", "internet", "management", "exit"])
def test_names_are_recognized(name):
    assert registry.OURS.match(getattr(lab(12), name)).group(1) == "12"
    assert registry.OURS.match(lab(12).client(3)).group(1) == "12"


@pytest.mark.parametrize("name", ["eth0", "mv-u", "mv1", "mv1-q", "mv1-u2", "mv1-c", "xmv1-u", "mvx1-u"])
def test_foreign_names_are_not_ours(name):
    assert not registry.OURS.match(name)


def test_labs_share_no_address_and_no_mac():
    one, other = lab(1), lab(2)
    for name in ("operator_address", "address", "exit_address", "internet_address", "table", "machine", "runtime"):
        assert getattr(one, name) != getattr(other, name)
    macs = {each.mac(kind, number) for each in (one, other) for kind in range(6) for number in range(1, 9)}
    assert len(macs) == 2 * 6 * 8


def test_macs_are_locally_administered_unicast():
    first = int(lab().mac(4, 1).split(":")[0], 16)
    assert first & 0b11 == 0b10
    assert not lab().mac(4, 1).startswith("52:54:00")


def test_hosts_of_two_checkouts_have_two_disks():
    other = model.Lab("lab", 1, pathlib.Path("/other"), pathlib.Path("/cache"))
    assert lab().disk != other.disk
    assert lab().disk.parent == pathlib.Path("/cache/hosts")


@pytest.mark.parametrize("taken, free", [([], 1), ([1, 2], 3), ([2], 1), ([1, 1, 3], 2)])
def test_free_index(taken, free):
    assert registry.free_index(taken) == free


def test_no_free_index():
    with pytest.raises(LabError, match="lab/lab down"):
        registry.free_index(list(range(1, model.MAX_INDEX + 1)))


@pytest.mark.parametrize(
    "status, expected",
    [
        ("7 (python3) S 1 7 7 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0", 4711),
        ("7 (a b) c) S 1 7 7 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0", 4711),
        ("7 (python3) Z 1 7 7 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0", None),
    ],
)
def test_start_time(status, expected):
    assert state.parse_start_time(status) == expected


def test_a_lock_that_was_removed_is_made_anew(tmp_path):
    path = tmp_path / "folder" / "lock"
    with registry.locked(path):
        path.unlink()
    with registry.locked(path, wait=False):
        assert path.exists()


def test_a_held_lock_is_not_waited_for(tmp_path):
    with registry.locked(tmp_path / "lock"), pytest.raises(LabError, match="another"):
        with registry.locked(tmp_path / "lock", wait=False):
            pass


def test_a_folder_goes_as_a_whole(tmp_path):
    for name in ("disk", ".old-disk"):  # the second one: of a removal that was killed
        (tmp_path / name / "upper").mkdir(parents=True)
    run.discard(tmp_path / "disk")
    run.discard(tmp_path / "disk")
    assert list(tmp_path.iterdir()) == []


def test_the_internet_is_apart_from_every_lab_s_own_networks():
    internet = ipaddress.ip_network(model.INTERNET_RANGE)
    own = [
        ipaddress.ip_network(address + "/30", strict=False)
        for index in range(1, model.MAX_INDEX + 1)
        for address in (lab(index).address, lab(index).exit_address)
    ]
    assert not any(internet.overlaps(network) for network in own)
    assert len(set(own)) == 2 * model.MAX_INDEX
    servers = [addresses["ipv4"] for addresses in model.SERVERS.values()]
    assert all(ipaddress.ip_address(address) in internet for address in [model.GATEWAY, model.UNIVERSE, *servers])
