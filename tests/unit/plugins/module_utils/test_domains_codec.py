"""The router codec: round trips over generated models and what survives an update."""

from xml.etree import ElementTree

import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils import domain_xml, domains
from ansible_collections.multiverse.router_controller.plugins.module_utils.domain_xml import from_xml, to_xml
from ansible_collections.multiverse.router_controller.plugins.module_utils.domains import router, sort_devices
from ansible_collections.multiverse.router_controller.tests.unit.plugins.module_utils.test_domains import galaxy
from hypothesis import given
from hypothesis import strategies as st

FOREIGN = """
<domain type="kvm" xmlns:qemu="http://libvirt.org/schemas/domain/qemu/1.0">
  <name>galaxy</name>
  <uuid>4784651a-88e2-400c-895d-9180ff2ed385</uuid>
  <title>mine</title>
  <metadata><app:it xmlns:app="https://app" keep="yes"/></metadata>
  <memory unit="GiB">1</memory><currentMemory unit="KiB">65536</currentMemory>
  <vcpu placement="static" current="1">4</vcpu>
  <os><type arch="x86_64" machine="pc-q35-6.1">hvm</type><boot dev="hd"/></os>
  <features><pae/></features>
  <clock offset="localtime"><timer name="rtc" tickpolicy="catchup"/></clock>
  <on_crash>preserve</on_crash>
  <seclabel type="none" model="none"/>
  <devices>
    <emulator>/usr/bin/kvm-only</emulator>
    <disk type="file" device="cdrom"><source file="/some.iso"/><target dev="sda" bus="sata"/><readonly/></disk>
    <disk type="file" device="disk"><driver name="qemu" type="raw" discard="unmap"/><source file="/old"/>
      <target dev="vda" bus="virtio"/><address type="pci" domain="0x0000" bus="0x05" slot="0x00" function="0x0"/></disk>
    <controller type="usb" index="0" model="qemu-xhci"/>
    <controller type="pci" index="0" model="pcie-root"/>
    <interface type="bridge"><mac address="00:00:10:00:00:02"/><source bridge="elsewhere"/><model type="virtio"/>
      <mtu size="1400"/><address type="pci" domain="0x0000" bus="0x02" slot="0x00" function="0x0"/></interface>
    <interface type="network"><mac address="52:54:00:00:00:02"/><source network="default"/></interface>
    <filesystem type="mount"><source dir="/"/><target dir="root"/></filesystem>
    <serial type="tcp"><source mode="bind" host="0.0.0.0" service="4555"/><target port="0"/></serial>
    <console type="tcp"><source mode="bind" host="0.0.0.0" service="4555"/><target type="serial" port="0"/></console>
    <channel type="spicevmc"><target type="virtio" name="com.redhat.spice.0"/></channel>
    <graphics type="spice"/><video><model type="qxl"/></video><sound model="ich9"/><input type="tablet" bus="usb"/>
    <hostdev mode="subsystem" type="usb"><source><vendor id="0x1"/><product id="0x2"/></source></hostdev>
    <redirdev bus="usb" type="spicevmc"/><shmem name="s"/><vsock model="virtio"/><watchdog model="itco"/>
    <rng model="virtio"><backend model="egd" type="tcp">x</backend></rng>
  </devices>
  <qemu:commandline><qemu:arg value="-netdev"/><qemu:arg value="user,id=leak"/></qemu:commandline>
</domain>
"""
KEPT = ["uuid", "title", "metadata/{https://app}it", "os/boot", "features/pae", "clock/timer", "seclabel"]

paths = st.text("abc.-_ &<'é", min_size=1, max_size=8).map("/{0}".format)
octet = st.integers(0, 255)
macs = st.tuples(octet, octet).map(lambda pair: "00:00:10:00:{0:02x}:{1:02x}".format(*pair))
bridges = st.sampled_from(["universe0", "galaxy0", "star0"])
cards = st.one_of(
    st.fixed_dictionaries({"mac": macs, "bridge": bridges}),
    st.fixed_dictionaries({"mac": macs, "type": st.just("user")}),
)
shares = st.fixed_dictionaries(
    {
        "path": paths,
        "tag": st.text("abc-", min_size=1, max_size=31),
        "read_only": st.booleans(),
        "multidevs": st.sampled_from(["default", "remap"]),
    }
)


@st.composite
def models(draw):
    """Desired routers, each valid for libvirt."""
    accel, cpu = draw(st.sampled_from([("tcg", "qemu64"), ("kvm", "host-passthrough"), ("kvm", "qemu64")]))
    disk = st.fixed_dictionaries(
        {"path": paths, "format": st.sampled_from(["raw", "qcow2"]), "read_only": st.booleans()}
    )
    count = draw(st.integers(0, 3))
    return router(
        name="galaxy",
        accel=accel,
        cpu=cpu,
        memory=draw(st.integers(1, 4096)),
        vcpus=draw(st.integers(1, 8)),
        kernel=draw(paths),
        initrd=draw(st.one_of(st.none(), paths)),
        cmdline=draw(st.one_of(st.none(), st.text("abc=,\"'<& ", min_size=1).map("a{0}z".format))),
        disks=[dict(draw(disk), target="vd" + letter) for letter in "abc"[:count]],
        interfaces=draw(st.lists(cards, max_size=3, unique_by=lambda card: card["mac"])),
        share=draw(st.one_of(st.none(), shares)),
        console_log=draw(st.one_of(st.none(), paths)),
        channels=[{"name": "result", "path": draw(paths)}] if draw(st.booleans()) else [],
        agent=draw(st.booleans()),
    )


@given(models())
def test_the_codec_is_lossless(router):
    assert from_xml(to_xml(router)) == sort_devices(router)
    assert domain_xml.is_ours(to_xml(router))


@given(models(), models())
def test_any_definition_turns_into_any_other(router, base):
    assert from_xml(to_xml(router, to_xml(base))) == sort_devices(router)
    assert from_xml(to_xml(router, FOREIGN)) == sort_devices(router)


@given(models())
def test_writing_again_changes_nothing(router):
    assert to_xml(router, to_xml(router)) == to_xml(router)


@given(models())
def test_what_connects_nothing_survives(router):
    before, after = ElementTree.fromstring(FOREIGN), ElementTree.fromstring(to_xml(router, FOREIGN))
    for path in KEPT:
        assert ElementTree.tostring(after.find(path)) == ElementTree.tostring(before.find(path))
    assert after.find("os/type").get("machine") == "pc-q35-6.1"
    assert after.find("devices/controller[@model='pcie-root']") is not None
    assert after.find("devices/watchdog") is not None


def test_everything_that_leads_out_of_the_vm_is_seen():
    found = from_xml(FOREIGN)
    assert found.intruders == [
        "graphics spice",
        "hostdev usb",
        "input tablet",
        "qemu:commandline -netdev user,id=leak",
        "redirdev spicevmc",
        "shmem",
        "sound ich9",
        "video qxl",
        "vsock virtio",
    ]
    assert [card["bridge"] for card in found.interfaces] == ["elsewhere", "default"]
    assert [share["path"] for share in found.shares] == ["/"]
    assert found.serials == [{"type": "tcp", "log": None}]
    assert found.memory == 64
    assert found.vcpus == 1


def test_a_device_that_changes_keeps_its_slot_and_what_we_do_not_declare():
    after = ElementTree.fromstring(to_xml(galaxy(), FOREIGN))
    card = after.find("devices/interface")
    assert card.find("source").attrib == {"bridge": "universe0"}
    assert (card.find("mtu").get("size"), card.find("address").get("bus")) == ("1400", "0x02")
    disk = after.find("devices/disk")
    assert (disk.find("source").get("file"), disk.find("driver").attrib) == (
        "/d.qcow2",
        {"name": "qemu", "type": "qcow2", "discard": "unmap"},
    )
    assert disk.find("address").get("bus") == "0x05"
    assert after.find("devices/console") is None


def test_an_emulator_chosen_for_another_acceleration_is_chosen_again():
    assert ElementTree.fromstring(to_xml(galaxy(), FOREIGN)).find("devices/emulator") is None
    kvm = galaxy(accel="kvm", cpu="host-passthrough")
    assert ElementTree.fromstring(to_xml(kvm, FOREIGN)).findtext("devices/emulator") == "/usr/bin/kvm-only"


def test_another_machine_family_starts_from_an_empty_document():
    base = FOREIGN.replace("pc-q35-6.1", "pc-i440fx-6.1")
    after = ElementTree.fromstring(to_xml(galaxy(), base))
    assert after.findtext("uuid") == "4784651a-88e2-400c-895d-9180ff2ed385"
    assert after.find("metadata/{https://app}it") is not None
    assert after.find("devices/disk/address") is None
    assert after.find("devices/controller[@type='pci']") is None


@pytest.mark.parametrize(
    "machine, family",
    [
        ("q35", "q35"),
        ("pc-q35-2.8", "q35"),
        ("pc-q35-10.0", "q35"),
        ("pc-i440fx-7.2", "i440fx"),
        ("pc", "pc"),
        ("microvm", "microvm"),
        (None, None),
    ],
)
def test_machine_family(machine, family):
    assert domain_xml.machine_family(machine) == family


@pytest.mark.parametrize(
    "text, mib",
    [
        ("<memory unit='KiB'>131072</memory>", 128),
        ("<memory>131072</memory>", 128),
        ("<memory unit='GiB'>2</memory>", 2048),
        ("<memory unit='MB'>128</memory>", 122.07),
    ],
)
def test_memory_in_mib(text, mib):
    assert from_xml("<domain>%s</domain>" % text).memory == mib


def test_the_balloon_of_a_running_guest_is_no_drift_but_one_in_the_definition_is():
    text = "<domain%s><memory unit='MiB'>128</memory><currentMemory unit='MiB'>64</currentMemory></domain>"
    assert from_xml(text % " id='1'").memory == 128
    assert from_xml(text % "").memory == 64


def test_the_socket_of_libvirts_own_channel_is_drift_only_when_somebody_chose_it():
    text = (
        "<domain%s><devices><channel type='unix'><source mode='bind' path='/s'/>"
        "<target type='virtio' name='org.qemu.guest_agent.0' state='connected'/></channel></devices></domain>"
    )
    assert from_xml(text % " id='1'").channels == [domains.channel(domains.AGENT, type="unix")]
    assert from_xml(text % "").channels == [domains.channel(domains.AGENT, "/s", "unix")]
    assert domain_xml.agent_connected(text % " id='1'")
    assert not domain_xml.agent_connected((text % " id='1'").replace("'connected'", "'disconnected'"))


def test_cards_of_a_running_vm():
    text = (
        "<domain id='1'><devices><interface type='bridge'><mac address='00:00:10:00:00:02'/>"
        "<source bridge='universe0'/><target dev='tap0'/><model type='virtio'/><link state='down'/></interface>"
        "<interface type='user'/></devices></domain>"
    )
    first, second = domain_xml.cards(text)
    assert (first.tap, first.entry["link"], first.entry["bridge"]) == ("tap0", "down", "universe0")
    assert second.tap is None and second.entry["mac"] is None
    assert ElementTree.fromstring(first.element).find("target").get("dev") == "tap0"


def test_a_card_alone():
    card = domains.interface("00:00:10:00:00:02", "universe0")
    made = ElementTree.fromstring("<domain><devices>%s</devices></domain>" % domain_xml.interface_xml(card))
    assert from_xml(ElementTree.tostring(made, encoding="unicode")).interfaces == [card]
