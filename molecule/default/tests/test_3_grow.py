"""One more galaxy is one network and one router entry; a failing script and a bad value are told as they should be."""

import json

import pytest
import yaml
from lab_host import ROOT, changes, run

GALAXY2 = {
    "name": "galaxy2",
    "upstream": "universe0",
    "downstream": "nebula0",
    "egress": {"type": "direct"},
    "ephemeral": True,
    "packages": [],
    "links": [{"name": "shared", "source": "/srv/shared"}],
}
HOST_SHARE = {"tag": "host-portal", "mount": "/mnt/host-portal"}


def reference():
    """The networks and routers of the inventory that ships."""
    found = {}
    for name in ("networks", "routers"):
        found.update(yaml.safe_load((ROOT / f"inventory/group_vars/all/{name}.yml").read_text(encoding="utf-8")))
    return {key: found[key] for key in ("multiverse_networks", "multiverse_routers")}


@pytest.fixture(scope="module")
def grown(lab):
    topology = reference()
    topology["multiverse_networks"].append({"name": "nebula0", "subnet": "10.1.3.0/24"})
    topology["multiverse_routers"].append(GALAXY2)
    topology["multiverse_host_share"] = HOST_SHARE
    arguments = ("-e", json.dumps(topology))
    lab.sh("mkdir -p /srv/shared && echo from universe > /srv/shared/note")
    before = (lab.domain_ids(), {name: lab.uptime(name) for name in ("galaxy", "star")})
    preview = lab.converge("--check", "--diff", *arguments)
    assert lab.domain_ids() == before[0]
    return {"before": before, "preview": preview, "run": lab.converge(*arguments), "arguments": arguments}


def test_the_new_galaxy_is_all_that_changes(lab, grown):
    names = {
        name for task in ("Create the networks", "Converge the routers") for name, _field in changes(grown["run"], task)
    }
    assert names == {"nebula0", "galaxy2", "universe0"}  # universe0 reserves the new router's address
    assert {field for name, field in changes(grown["run"], "Create the networks") if name == "universe0"} == {
        "reservations"
    }


def test_the_preview_said_so(grown):
    assert set(grown["preview"]["changed"]) == set(grown["run"]["changed"])
    for task in ("Create the networks", "Converge the routers"):
        assert {name for name, _field in changes(grown["preview"], task)} == {
            name for name, _field in changes(grown["run"], task)
        }


def test_the_image_is_not_built_again(grown):
    assert "Build the images" not in grown["run"]["changed"]


def test_the_others_went_on(lab, grown):
    ids, uptimes = grown["before"]
    assert all("/galaxy2.portal." in path for path in grown["run"]["changed"]["Render the portals"]["rendered"])
    assert "Provision the routers" not in grown["run"]["changed"]
    assert {name: lab.domain_ids()[name] for name in ids} == ids
    assert all(lab.uptime(name) > uptimes[name] for name in uptimes)


def test_the_galaxies_do_not_see_each_other(lab, grown):
    assert lab.fetch("nebula0")["client"] == "198.19.100.2"
    probe = lab.client("nebula0", "ping", "-c", "1", "-W", "2", "10.1.1.1", check=False)
    assert "100% packet loss" in probe


def test_an_ephemeral_router_keeps_nothing(lab, grown):
    assert "overlayfs / overlay" in lab.router("galaxy2", "cat /proc/mounts")
    assert lab.sh("ls /var/lib/multiverse/portal-images") == "galaxy.qcow2\nstar.qcow2"


def test_a_link_shows_universes_folder_in_the_router_read_only(lab, grown):
    portal = "/var/lib/multiverse/network-controller/galaxy2.portal.multiverse"
    assert f"/srv/shared {portal}/shared none bind,nofail,x-multiverse 0 0" in lab.sh("cat /etc/fstab").splitlines()
    assert lab.router("galaxy2", "cat /mnt/galaxy2-portal/shared/note") == "from universe"
    assert "Read-only" in lab.router("galaxy2", "touch /mnt/galaxy2-portal/shared/x 2>&1", check=False)


def test_the_hosts_share_has_its_line_and_may_be_missing(lab, grown):
    """This kernel has no 9p: the line is there, for a HOST that shares, and its absence stops nothing."""
    line = (
        "host-portal /mnt/host-portal 9p trans=virtio,version=9p2000.L,posixacl,rw,cache=none,nofail,x-multiverse 0 0"
    )
    assert line in lab.sh("cat /etc/fstab").splitlines()


def test_a_failed_script_is_told_with_router_script_line_and_output(lab, grown):
    lab.router("galaxy2", "rm /etc/dnsmasq.conf && mkdir -p /etc/dnsmasq.conf/in-the-way")
    done = run(
        "ansible-playbook",
        "-i",
        str(lab.folder / "inventory.yml"),
        "playbooks/site.yml",
        "--tags",
        "routers",
        *grown["arguments"],
        check=False,
    )
    assert done.returncode != 0
    assert "router galaxy2: provision.sh line" in done.stdout + done.stderr
    lab.router("galaxy2", "rm -r /etc/dnsmasq.conf")
    assert "Provision the routers" in lab.converge(*grown["arguments"])["changed"]


def test_bad_values_end_before_the_first_change(lab):
    topology = reference()
    topology["multiverse_networks"][1]["subnet"] = "10.0.0.0/25"
    topology["multiverse_routers"][1]["upstraem"] = "galaxy0"
    done = run(
        "ansible-playbook",
        "-i",
        str(lab.folder / "inventory.yml"),
        "playbooks/site.yml",
        "-e",
        json.dumps(topology),
        check=False,
    )
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0 and "changed=0" in said
    assert "10.0.0.0/25" in said and "upstraem" in said and "upstream" in said


def test_what_is_no_longer_declared_goes_only_when_asked_for(lab, grown):
    ids = lab.domain_ids()
    kept = lab.converge()
    assert "galaxy2" in kept["warnings"] and "nebula0" in kept["warnings"]
    assert lab.domain_ids() == ids
    purged = lab.converge("-e", "multiverse_purge=true")
    assert {("galaxy2", "state")} == changes(purged, "Converge the routers")
    assert {name for name, _field in changes(purged, "Create the networks")} == {"nebula0"}
    assert lab.domain_ids() == {name: number for name, number in ids.items() if name != "galaxy2"}
    assert lab.sh("ip link show nebula0 2>&1", check=False).endswith("does not exist.")
