"""What dpkg and apt-get say, read from their recorded output."""

import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils import packages
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError

STATUS = packages.parse_status("""\
vim install installed
nano deinstall config-files
qemu-utils hold installed
libc6 install installed
libc6 unknown not-installed
ovmf install half-configured
gone unknown not-installed
""")


def test_status():
    assert STATUS["libc6"] == ("install", "installed")
    assert packages.held(STATUS) == ["qemu-utils"]
    assert packages.unfinished(STATUS) == ["ovmf"]
    assert packages.to_install(["vim", "nano", "never-heard-of", "ovmf"], STATUS) == ["nano", "never-heard-of", "ovmf"]
    assert packages.to_remove(["vim", "nano", "never-heard-of", "gone"], STATUS) == ["vim"]


@pytest.mark.parametrize(
    ("present", "absent", "said"),
    [
        (["Vim"], [], "'Vim' is no name"),
        (["--purge"], [], "no name"),
        (["vim=1"], [], "no name"),
        ([""], [], "no name"),
        (["vim", "nano"], ["nano"], "nano is in both"),
    ],
)
def test_a_faulty_declaration(present, absent, said):
    with pytest.raises(MultiverseError, match=said):
        packages.check_declared(present, absent)


def test_a_simulation():
    assert packages.parse_simulation("""\
NOTE: This is only a simulation!
Reading package lists...
The following NEW packages will be installed:
  vim
Remv nano [7.2-1+deb12u1]
Inst libssl3 [3.0.1] (3.0.2 Debian-Security:12/stable-security [amd64]) []
Inst libc6:i386 (2.36-9 Debian:12.1/stable [i386])
Conf libssl3 (3.0.2 Debian-Security:12/stable-security [amd64])
""") == [
        {"action": "remove", "name": "nano", "before": "7.2-1+deb12u1", "after": None},
        {"action": "upgrade", "name": "libssl3", "before": "3.0.1", "after": "3.0.2"},
        {"action": "install", "name": "libc6", "before": None, "after": "2.36-9"},
    ]


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("E: Unable to locate package nosuch\n", "nosuch is in none of this machine's package sources"),
        (
            "Package firefox is not available\nE: Package 'firefox' has no installation candidate\n",
            "firefox is in none of this machine's package sources",
        ),
        (
            " qemu-system-x86 : Depends: qemu-utils (= 2) but 1 is to be installed\nE: Unable to correct problems, you "
            "have held broken packages.\n",
            "qemu-utils is held at its present version, which is in the way; release it with "
            "'apt-mark unhold qemu-utils'",
        ),
        (
            "The following packages will be REMOVED:\n  exim4\n"
            "E: Packages need to be removed but remove is disabled.\n",
            "remove them by hand first",
        ),
        ("E: Could not get lock /var/lib/dpkg/lock\n", "it said: E: Could not get lock"),
    ],
)
def test_a_failure_is_explained(output, said):
    text = packages.explain("install", ["nosuch", "qemu-system-x86"], output, STATUS)
    assert text.startswith("apt-get cannot install nosuch, qemu-system-x86: ") and said in text


def test_a_held_package_that_has_nothing_to_do_with_it_is_not_blamed():
    assert "hold" not in packages.explain("install", ["a"], "E: needs qemu-utils-extra, libqemu-utils\n", STATUS)


def test_the_diff_has_a_line_a_package():
    steps = packages.parse_simulation("Remv nano [7.2]\nInst vim [1] (2 Debian)\nInst ovmf (3 Debian)\n")
    shown = packages.diff(steps)
    assert shown["before"] == "nano 7.2\nvim 1\n" and shown["after"] == "vim 2\novmf 3\n"
