"""Connections: what a person reads when there is none, and the preview of a machine without libvirt."""

import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils import libvirt_connection
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.libvirt_connection import connect, explained

NOBODY = "qemu:///session?socket=/nonexistent/libvirt-sock"


def test_the_connection_is_closed_after_the_block():
    with connect("test:///default") as connection:
        assert connection.isAlive()
    with pytest.raises(libvirt_connection.libvirt.libvirtError):
        connection.isAlive()


def test_a_silent_socket_names_the_uri_and_what_to_check(capfd):
    with pytest.raises(MultiverseError, match="libvirt at qemu:///session.*multiverse-libvirtd"), connect(NOBODY):
        pass
    assert capfd.readouterr().err == ""


def test_missing_bindings_name_the_package(monkeypatch):
    monkeypatch.setattr(libvirt_connection, "libvirt", None)
    with pytest.raises(MultiverseError, match="python3-libvirt"), connect("test:///default"):
        pass


def test_check_mode_goes_on_without_libvirt_and_warns(monkeypatch):
    warnings = []
    with connect(NOBODY, check_mode=True, warn=warnings.append) as connection:
        assert connection is None
    monkeypatch.setattr(libvirt_connection, "libvirt", None)
    with connect("test:///default", check_mode=True) as connection:
        assert connection is None
    assert len(warnings) == 1 and "takes it that libvirt has nothing yet" in warnings[0]


def test_an_error_says_what_was_tried_what_came_back_and_what_to_do():
    with connect("test:///default") as connection:
        with pytest.raises(MultiverseError, match="^defining galaxy0 failed: .*missing name.*[^.]. Give it a name.$"):
            with explained("defining galaxy0", "Give it a name."):
                connection.networkDefineXML("<network/>")


def test_other_exceptions_keep_their_kind():
    with pytest.raises(ZeroDivisionError), explained("dividing"):
        1 / 0  # noqa: B018
