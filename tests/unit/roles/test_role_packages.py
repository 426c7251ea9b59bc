"""The package tables of the role `packages`, and apt's settings."""

from pathlib import Path

import pytest
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

ROLE = Path(__file__).parents[3] / "roles/packages"
VARS = yaml.safe_load((ROLE / "vars/main.yml").read_text())
RELEASES = VARS["_packages_releases"]

# What Debian ships under these names in each release; a name that is not here was never looked up.
KNOWN = {
    "ca-certificates",
    "dnsmasq-base",
    "e2fsprogs",
    "iproute2",
    "kmod",
    "libvirt-clients",
    "libvirt-daemon-system",
    "nftables",
    "ovmf",
    "python3-bottle",
    "python3-libvirt",
    "python3-waitress",
    "qemu-system-common",
    "qemu-system-x86",
    "qemu-utils",
    "vim",
}


def render(name, **variables):
    environment = Environment(
        loader=FileSystemLoader(str(ROLE / "templates")),
        trim_blocks=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters["bool"] = bool
    return environment.get_template(name).render(variables)


def test_every_release_from_9_on_has_its_names():
    assert list(RELEASES) == ["9", "10", "11", "12", "13"]
    assert [release["codename"] for release in RELEASES.values()] == [
        "stretch",
        "buster",
        "bullseye",
        "bookworm",
        "trixie",
    ]
    assert {name for name, release in RELEASES.items() if release["security"] == release["codename"] + "/updates"} == {
        "9",
        "10",
    }


def test_no_package_is_named_twice_or_both_wanted_and_unwanted():
    for release in RELEASES.values():
        names = VARS["_packages_present"] + release["present"]
        assert len(names) == len(set(names)) and not set(names) & set(VARS["_packages_absent"])


def test_names_that_debian_does_not_have_stay_out():
    assert set(VARS["_packages_present"]) == KNOWN
    assert not {"libvirt", "libvirt-bin", "qemu", "qemu-img", "qemu-kvm"} & KNOWN
    assert {"nano", "firefox-esr"} <= set(VARS["_packages_absent"])


@pytest.mark.parametrize("retired", [False, True])
def test_apt_reads_the_archive_only_on_a_retired_release(retired):
    text = render(
        "etc/apt/apt.conf.d/90multiverse.j2", _packages_retired=retired, _packages_sources="/etc/apt/ours.list"
    )
    assert 'APT::Install-Recommends "false";' in text and 'APT::Install-Suggests "false";' in text
    assert ('Dir::Etc::sourcelist "/etc/apt/ours.list";' in text) is retired


@pytest.mark.parametrize("number", ["9", "10", "11"])
def test_expired_metadata_is_accepted_for_the_archive_alone_and_signatures_always_count(number):
    release = RELEASES[number]
    text = render(
        "etc/apt/multiverse-archive.list.j2",
        _packages_release=release,
        _packages_keyring="/keys.asc",
        packages_archive_mirror="http://archive.example",
    )
    sources = [line for line in text.splitlines() if line.startswith("deb ")]
    options = "deb [check-valid-until=no signed-by=/keys.asc] http://archive.example"
    assert sources == [
        "%s/debian %s main" % (options, release["codename"]),
        "%s/debian-security %s main" % (options, release["security"]),
    ]
    assert "trusted" not in text
