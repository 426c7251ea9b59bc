"""Which script to run next, and what its runs came to; whatever a guest answers."""

import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils import provisioning
from ansible_collections.multiverse.router_controller.plugins.module_utils.provisioning import inputs_digest, is_current
from hypothesis import given
from hypothesis import strategies as st

FILES = {"lib.sh": b"one", "base-files/etc/hostname": b"galaxy\n"}
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["changed", "failed", "kind", "name", "line", "message", "output", "step"]), inner
        ),
    ),
    max_leaves=12,
)
EVIL = "\x1b]0;pwned\x07\x9b2J\u202eevil\r\n"


def run(**more):
    return dict(
        {
            "script": "provision",
            "arguments": [],
            "state": "done",
            "ok": True,
            "inputs": "0123",
            "exit_code": 0,
            "error": None,
            "stdout": "",
            "stderr": "",
            "result": {"changed": [], "failed": []},
        },
        **more,
    )


# --- inputs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "image, files",
    [
        ("other", FILES),
        ("image", {}),
        ("image", dict(FILES, **{"lib.sh": b"two"})),
        ("image", dict(FILES, new=b"")),
        ("image", {"lib.sh": b"one", "base-files/etc/hostname2": b"galaxy\n"}),
        ("image", {"lib.sh": b"onebase-files/etc/hostname", "": b"galaxy\n"}),
        ("", {"image\0lib.sh": b"one", "base-files/etc/hostname": b"galaxy\n"}),
    ],
    ids=["image", "no files", "content", "more files", "name", "shifted", "shifted into the image"],
)
def test_every_input_counts(image, files):
    assert inputs_digest(image, files) != inputs_digest("image", FILES)
    assert inputs_digest(image, dict(reversed(list(files.items())))) == inputs_digest(image, files)


LATER = run(inputs="new")


@pytest.mark.parametrize(
    "runs, expected",
    [
        ([], False),
        ([run()], True),
        ([run(inputs="other")], False),
        ([run(ok=False)], False),
        ([run(ok=None, state="interrupted"), run()], False),
        ([run(script="packages")], False),
        ([run(script="packages", ok=False), run()], True),
        ([run(arguments=["--check"], inputs="other"), run()], True),
        ([run(arguments=["--check"], ok=False), run()], True),
        ([run(arguments=["--check"])], False),
        ([run(state="running", ok=None), run()], True),
        ([run(), run(inputs="other")], True),
        ([run(inputs="other"), run()], False),
    ],
    ids=[
        "never",
        "yes",
        "other inputs",
        "failed",
        "interrupted",
        "another script",
        "another script failed",
        "looked since",
        "looked in vain",
        "only looked",
        "another is running",
        "the latest counts",
        "the latest counts against",
    ],
)
def test_is_current(runs, expected):
    assert is_current(runs, "provision", "0123") is expected


# --- what runs came to ------------------------------------------------------------------------------------------------


def test_changes_are_read_from_the_report():
    change = {"kind": "file", "name": "/etc/x", "action": "updated"}
    assert provisioning.changes(run(result={"changed": [dict(change, more=1)], "failed": []})) == [change]


@pytest.mark.parametrize(
    "result, expected",
    [
        (None, []),
        ("text", []),
        (["changed"], []),
        ({}, []),
        ({"changed": None}, []),
        ({"changed": {"a": 1}}, []),
        ({"changed": [None, "text", 7, []]}, []),
        ({"changed": [{}]}, [("", "", "")]),
        ({"changed": [{"kind": ["file"], "name": None, "action": 7}]}, [("['file']", "None", "7")]),
        (
            {"changed": [{"kind": "file", "name": "/etc/" + EVIL, "action": "x" * 1000}]},
            [("file", "/etc/]0;pwned2Jevil", "x" * 200)],
        ),
        ({"changed": [{}] * 5000}, [("", "", "")] * 500),
    ],
    ids=[
        "null",
        "text",
        "list",
        "empty",
        "no list",
        "object",
        "no objects",
        "no keys",
        "wrong types",
        "escapes",
        "many",
    ],
)
def test_hostile_changes_are_bounded_plain_texts(result, expected):
    assert provisioning.changes(run(result=result)) == [
        dict(zip(("kind", "name", "action"), entry)) for entry in expected
    ]


@given(JSON)
def test_no_result_is_a_bug(result):
    for changed in provisioning.changes(run(result=result)):
        assert all(value.isprintable() and len(value) <= 200 for value in changed.values())
    text = provisioning.failure("galaxy", run(result=result, ok=False))
    assert text.startswith("router galaxy: provision.sh")
    assert all(line.isprintable() for line in text.split("\n"))
    assert isinstance(provisioning.finding(run(result=result)), bool)


@pytest.mark.parametrize(
    "more, expected",
    [
        ({}, False),
        ({"result": {"changed": [{"name": "x"}]}}, True),
        ({"ok": False}, True),
        ({"ok": False, "result": None}, True),
    ],
)
def test_a_finding(more, expected):
    assert provisioning.finding(run(**more)) is expected


def failed(*entries, **more):
    return provisioning.failure(
        "galaxy", run(**dict({"ok": False, "exit_code": 1, "result": {"failed": list(entries)}}, **more))
    )


COMMAND = {
    "step": "provision.sh",
    "line": 57,
    "message": "mkdir -p /etc/network",
    "output": "mkdir: can't\nFile exists",
}
SERVICE = {"step": "service dnsmasq", "message": "it does not run after a restart"}


def test_a_failure_names_router_script_line_and_last_lines():
    assert failed(COMMAND) == (
        "router galaxy: provision.sh line 57: mkdir -p /etc/network\n  mkdir: can't\n  File exists"
    )
    assert failed(SERVICE) == "router galaxy: provision.sh, service dnsmasq: it does not run after a restart"
    assert failed(SERVICE, COMMAND).split("\n")[::3] == [
        "router galaxy: provision.sh, service dnsmasq: it does not run after a restart",
        "  File exists",
    ]


@pytest.mark.parametrize(
    "more, expected",
    [
        ({"error": "not done within 600 s, killed"}, "not done within 600 s, killed\n  last\n  words"),
        ({"exit_code": 127}, "exit code 127\n  last\n  words"),
        ({"stderr": "", "stdout": "printed"}, "exit code 1\n  printed"),
        ({"stderr": "", "stdout": ""}, "exit code 1"),
        ({"stderr": None, "stdout": None, "exit_code": None}, "exit code None"),
    ],
    ids=["error", "exit code", "standard output", "silent", "nothing"],
)
def test_a_failure_without_a_report(more, expected):
    assert (
        failed(**dict({"result": None, "stderr": "last\nwords\n"}, **more))
        == "router galaxy: provision.sh: " + expected
    )


@pytest.mark.parametrize("line", [True, "57", 57.0, -1, 0, 10**1000, None, [57]], ids=repr)
def test_a_line_that_is_none_is_left_out(line):
    assert failed(dict(COMMAND, line=line)).split("\n")[0] == "router galaxy: provision.sh: mkdir -p /etc/network"


def test_a_hostile_failure_is_bounded_and_plain():
    hostile = {"step": EVIL * 1000, "line": 1, "message": EVIL * 1000, "output": (EVIL + "x" * 10**5) * 100}
    text = failed(*[hostile] * 1000, error=EVIL)
    assert len(text) < 100000
    assert all(line.isprintable() for line in text.split("\n"))
    assert "evil" in text
    assert failed(result=None, error=EVIL, stderr=EVIL).split("\n")[0].isprintable()


def test_the_diff_has_one_text_per_router_with_changes():
    change = {"kind": "file", "name": "/etc/x", "action": "updated"}
    progress = {
        "star": {"changes": [change, dict(change, name="/etc/y")]},
        "moon": {"changes": []},
        "galaxy": {"changes": [change]},
    }
    assert provisioning.diff(progress) == [
        {
            "before_header": "router galaxy",
            "after_header": "router galaxy",
            "before": "",
            "after": "file /etc/x: updated\n",
        },
        {
            "before_header": "router star",
            "after_header": "router star",
            "before": "",
            "after": "file /etc/x: updated\nfile /etc/y: updated\n",
        },
    ]
