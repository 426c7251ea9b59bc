"""The firewall against an nft that only remembers: order, check mode, errors."""

import shutil

import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils import firewall_converge
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError

TABLES = [["inet", "multiverse"], ["arp", "multiverse"]]
NAMES = [tuple(table) for table in TABLES]
SCRIPT = "the rules\n"


class FakeNft:
    """Answers as nft does; `live` are the kernel's tables, `means` what SCRIPT would make."""

    def __init__(self):
        self.live = {("ip", "others"): "table ip others {\n}\n"}
        self.means = {name: "table %s %s {\n\trule\n}\n" % name for name in NAMES}
        self.loads = 0
        self.stubborn = False

    def __call__(self, command, doing):
        if command[0] == "unshare":
            tables = "".join("table %s %s\n" % name for name in [("inet", "multiverse_canary"), *self.means])
            return tables + "".join("@ %s %s\n" % name + self.means[name] for name in NAMES)
        if command[1:] == ["list", "tables"]:
            return "".join("table %s %s\n" % name for name in self.live)
        if command[1:3] == ["list", "table"]:
            return self.live[tuple(command[3:])]
        with open(command[2]) as stream:
            script = stream.read()
        self.loads += 1
        if script == SCRIPT:
            self.live.update({} if self.stubborn else self.means)
        else:
            for line in script.splitlines():
                verb, _table, family, name = line.split()
                if verb == "delete":
                    del self.live[(family, name)]
        return ""


@pytest.fixture
def nft(monkeypatch):
    fake = FakeNft()
    monkeypatch.setattr(firewall_converge, "_run", fake)
    monkeypatch.setattr(firewall_converge.shutil, "which", lambda program, path=None: "/usr/sbin/" + program)
    return fake


@pytest.fixture
def kept(monkeypatch):
    """Declared files, instead of writing them as root."""
    seen = []
    monkeypatch.setattr(
        firewall_converge.file_converge,
        "converge",
        lambda entries, check=False: seen.append((entries[0].get("state"), check)) or [],
    )
    return seen


def test_loaded_once_and_then_left_alone(nft, kept):
    assert firewall_converge.converge("/f", SCRIPT, TABLES)[1] == sorted(NAMES)
    assert firewall_converge.converge("/f", SCRIPT, TABLES)[1] == []
    assert nft.loads == 1 and ("ip", "others") in nft.live


def test_one_changed_rule_loads_all_tables_in_one_transaction(nft, kept):
    firewall_converge.converge("/f", SCRIPT, TABLES)
    nft.live[NAMES[0]] = nft.live[NAMES[0]].replace("rule", "accept")
    assert firewall_converge.converge("/f", SCRIPT, TABLES)[1] == [NAMES[0]]
    assert nft.loads == 2 and nft.live[NAMES[0]] == nft.means[NAMES[0]]


def test_check_mode_loads_and_writes_nothing(nft, kept):
    assert firewall_converge.converge("/f", SCRIPT, TABLES, check=True)[1] == sorted(NAMES)
    assert nft.loads == 0 and kept == [(None, True)]


def test_rules_that_do_not_stay_are_an_error_and_the_file_is_not_written(nft, kept):
    nft.stubborn = True
    with pytest.raises(MultiverseError, match="arp multiverse is not as declared"):
        firewall_converge.converge("/f", SCRIPT, TABLES)
    assert kept == []


def test_a_script_that_makes_other_tables_is_refused_before_it_is_loaded(nft, kept):
    nft.means[("ip", "nat")] = ""
    with pytest.raises(MultiverseError, match="makes ip nat"):
        firewall_converge.converge("/f", SCRIPT, TABLES)
    assert nft.loads == 0 and kept == []


def test_removal_and_its_repetition(nft, kept):
    firewall_converge.converge("/f", SCRIPT, TABLES)
    assert firewall_converge.remove("/f", TABLES, check=True)[1] == sorted(NAMES)
    assert firewall_converge.remove("/f", TABLES)[1] == sorted(NAMES)
    assert firewall_converge.remove("/f", TABLES)[1] == []
    assert nft.loads == 2 and list(nft.live) == [("ip", "others")]


@pytest.fixture
def without(monkeypatch):
    """A machine that lacks one program."""

    def lose(name):
        real = shutil.which
        monkeypatch.setattr(
            firewall_converge.shutil, "which", lambda program, path=None: None if program == name else real("sh")
        )

    return lose


@pytest.mark.parametrize(("program", "package"), [("nft", "nftables"), ("unshare", "util-linux")])
def test_a_missing_program_names_its_package(without, program, package):
    without(program)
    with pytest.raises(MultiverseError, match="%s is not installed; install the package %s" % (program, package)):
        firewall_converge.converge("/f", SCRIPT, TABLES)


def test_a_preview_of_the_first_run_goes_on_without_nft(without, kept):
    warnings = []
    without("nft")
    assert firewall_converge.converge("/f", SCRIPT, TABLES, True, warnings.append)[1] == sorted(NAMES)
    assert len(warnings) == 1 and kept == [(None, True)]
