"""The XML helpers, and the mark by which we know our own objects."""

import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils import xml
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from hypothesis import given
from hypothesis import strategies as st

FOREIGN = '<network><metadata><app:it xmlns:app="https://app" keep="yes"/></metadata></network>'


def test_broken_xml_names_what_was_read():
    with pytest.raises(MultiverseError, match="the definition of galaxy0 is not valid XML.*'<network>'"):
        xml.parse("<network>", "the definition of galaxy0")


def test_ensure_makes_only_what_is_missing():
    root = xml.parse("<domain><devices><emulator>/bin/q</emulator></devices></domain>", "a domain")
    assert xml.ensure(root, "devices/emulator").text == "/bin/q"
    xml.ensure(root, "devices/rng/backend").text = "/dev/urandom"
    assert xml.to_text(root) == (
        "<domain><devices><emulator>/bin/q</emulator><rng><backend>/dev/urandom</backend></rng></devices></domain>"
    )


def test_none_leaves_an_attribute_out_and_removes_one():
    element = xml.new("host", mac="00:00:10:00:00:02", name=None)
    xml.set_attributes(element, mac=None, ip="10.0.0.2")
    assert element.attrib == {"ip": "10.0.0.2"}


def test_an_attribute_of_a_missing_element_is_none():
    root = xml.parse("<network><mac address='a'/></network>", "a network")
    assert xml.attribute(root, "mac", "address") == "a"
    assert xml.attribute(root, "mac", "type") is None
    assert xml.attribute(root, "bridge", "name") is None


def test_the_mark_is_added_once_beside_foreign_metadata():
    root = xml.parse(FOREIGN, "a network")
    assert xml.read_mark(root) is None
    xml.mark(root, "network", image="old")
    xml.mark(root, "network", image="new")
    again = xml.parse(xml.to_text(root), "a network")
    assert xml.read_mark(again) == {"kind": "network", "image": "new"}
    assert [child.tag for child in again.find("metadata")] == ["{https://app}it", "{%s}object" % xml.NAMESPACE]


def test_the_mark_is_written_as_the_documentation_shows_it():
    root = xml.new("network")
    xml.mark(root, "network")
    assert xml.to_text(root) == (
        '<network xmlns:multiverse="https://multiverse/router_controller/1">'
        '<metadata><multiverse:object kind="network" /></metadata></network>'
    )


def test_a_look_alike_in_another_namespace_is_not_our_mark():
    text = '<network><metadata><o:object xmlns:o="https://elsewhere" kind="network"/></metadata></network>'
    assert xml.read_mark(xml.parse(text, "a network")) is None


printable = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff")


@given(st.text(alphabet=printable))
def test_any_printable_text_survives(value):
    element = xml.new("host", name=value)
    assert xml.parse(xml.to_text(element), "a host").get("name") == value
