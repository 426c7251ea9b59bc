"""Tables as nft lists them: what counts as a difference, and what a script may do."""

import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils import firewall
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError

TABLE = ("inet", "multiverse")
LISTED = """table inet multiverse {
\tchain input {
\t\ttype filter hook input priority filter - 10; policy accept;
\t\tiifname "galaxy0" counter drop
\t}
}
"""


@pytest.mark.parametrize(
    "live",
    [
        LISTED,
        LISTED.replace("counter", "counter packets 12 bytes 3456"),
        LISTED.replace("drop\n", "drop # handle 7\n").replace("multiverse {", "multiverse { # handle 1"),
        LISTED.replace("\t}\n", "\t}\n\n"),
        LISTED.replace("accept;\n", "accept; \n"),
    ],
)
def test_what_changes_by_itself_is_no_difference(live):
    assert firewall.differing({TABLE: live}, {TABLE: LISTED}) == []


@pytest.mark.parametrize(
    "live",
    [
        None,
        "",
        LISTED.replace('"galaxy0"', '"galaxy1"'),
        LISTED.replace("counter drop", "counter accept"),
        LISTED.replace("policy accept", "policy drop"),
        LISTED.replace("- 10", "- 20"),
        LISTED.replace("\t\tiifname", "\t\taccept\n\t\tiifname"),
        LISTED.replace("counter drop", 'counter drop comment "packets"'),
    ],
)
def test_everything_else_is(live):
    assert firewall.differing({TABLE: live}, {TABLE: LISTED}) == [TABLE]


def test_tables_are_read_with_and_without_handles():
    listing = "table ip filter\ntable inet multiverse # handle 3\n\ntable bridge other\n"
    assert firewall.parse_tables(listing) == [("ip", "filter"), TABLE, ("bridge", "other")]


@pytest.mark.parametrize(
    ("path", "content", "tables", "said"),
    [
        ("firewall.nft", "", [list(TABLE)], "must be absolute"),
        ("/f", "", [], "tables is empty"),
        ("/f", "", [["inet"]], "no [family, name]"),
        ("/f", "", [["ipv4", "x"]], "no [family, name]"),
        ("/f", "", [["inet", "x; flush ruleset"]], "no [family, name]"),
        ("/f", 'include "/etc/nftables.conf"\n', [list(TABLE)], "includes another file"),
    ],
)
def test_a_faulty_declaration(path, content, tables, said):
    with pytest.raises(MultiverseError) as caught:
        firewall.check_declared(path, content, tables)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ([firewall.CANARY, TABLE], None),
        ([TABLE], "removes tables that it does not own"),
        ([firewall.CANARY], "does not make inet multiverse"),
        ([firewall.CANARY, TABLE, ("ip", "nat")], "makes ip nat, which tables does not name"),
    ],
)
def test_a_script_keeps_to_its_tables(made, said):
    if said is None:
        firewall.check_scratch(made, [list(TABLE)])
        return
    with pytest.raises(MultiverseError, match=said):
        firewall.check_scratch(made, [list(TABLE)])


def test_the_diff_shows_the_rules():
    shown = firewall.diff({TABLE: None}, {TABLE: LISTED}, [TABLE])
    assert shown == [
        {
            "before": "",
            "after": LISTED,
            "before_header": "table inet multiverse",
            "after_header": "table inet multiverse",
        }
    ]


def test_removal_works_whether_or_not_a_table_is_there():
    assert firewall.removal([TABLE]) == "add table inet multiverse\ndelete table inet multiverse\n"
