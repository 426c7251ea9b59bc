"""lib.sh: whatever a script says, its report is one line of JSON."""

import json
import shutil
import subprocess

import pytest
from ansible_collections.multiverse.router_controller.tests.unit.roles.portal.sandbox import PORTAL, SCRIPTS
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

SHARED = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
NASTY = '"\\"\'\\\\ \\n\t%s%d & $(x) `x` </script> é漢😀\x7f\x01\x1f&&\\&'
TEXTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=60)


def lib(busybox_bin, commands, *arguments, stdin=b"", run=None):
    """The output of shell commands with lib.sh loaded, under busybox alone."""
    return subprocess.run(
        [busybox_bin / "sh", "-euc", '. "$0"\n' + commands, str(SCRIPTS / "lib.sh"), *arguments],
        input=stdin,
        env={"PATH": str(busybox_bin), "RUN": str(run)},
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    ).stdout


def as_reported(text):
    """What is left of a text: no control characters but tabs and ends of lines, no end of the last line."""
    kept = "".join(character for character in text if character in "\t\n" or " " <= character != "\x7f")
    return kept[:-1] if kept.endswith("\n") else kept


@SHARED
@given(TEXTS)
@example(NASTY)
@example("\n\n")
@example("a\nb\n\nc")
def test_any_text_is_a_json_string(busybox_bin, text):
    assert json.loads(lib(busybox_bin, "json_string", stdin=text.encode())) == as_reported(text)


@SHARED
@given(st.binary(max_size=60))
def test_any_bytes_are_a_json_string_of_one_line(busybox_bin, data):
    printed = lib(busybox_bin, "json_string", stdin=data)
    assert b"\n" not in printed
    assert isinstance(json.loads(printed.decode("utf-8", "replace")), str)


@SHARED
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=3))
@example([(NASTY, NASTY), ("two\nlines", "three\n\nlines\n"), ("", "")])
def test_every_failure_is_one_entry(busybox_bin, tmp_path, failures):
    (tmp_path / "failed").write_text("")
    arguments = [part for what, message in failures for part in ("x" + what, "x" + message)]
    printed = lib(
        busybox_bin,
        'while [ $# -gt 0 ]; do failed "$1" "$2"; shift 2; done; json_failed 0 name || true',
        *arguments,
        run=tmp_path,
    )
    entries = json.loads("[" + printed.decode() + "]")
    assert len(entries) == len(failures)
    assert all(sorted(entry) == ["message", "step"] for entry in entries)
    for entry, (_what, message) in zip(entries, failures):
        assert entry["message"].split() == as_reported("x" + message).split()


@SHARED
@given(st.lists(TEXTS, min_size=1, max_size=3))
@example([NASTY, "two\nlines", "a\ttab"])
def test_every_change_is_one_entry(busybox_bin, tmp_path, names):
    (tmp_path / "changed").write_text("")
    printed = lib(
        busybox_bin, 'for name in "$@"; do changed file "x$name" "updated"; done; json_changed', *names, run=tmp_path
    )
    entries = json.loads("[" + printed.decode() + "]")
    assert [(entry["kind"], entry["action"]) for entry in entries] == [("file", "updated")] * len(names)


FAILING = {
    "last line": (":\n\nfalse\n", 3, "false"),
    "in a function": ("one() {\n\t:\n\tcat /missing\n}\none\n", 3, "cat /missing"),
    "behind a comment": ("# one\n# two\ntrue\n# four\ngrep x /dev/null\ntrue\n", 5, "grep x /dev/null"),
    "in a loop": ('for name in a b c; do\n\t[ "$name" != b ]\ndone\n', 2, "'[' b '!=' b ]"),
    "in a branch": ("if true\nthen\n\tls /missing\nfi\n", 3, "ls /missing"),
    "not set": (':\n:\necho "$missing"\n', 2, ":"),  # nothing ran on that line; the output names it
    "exit": (":\nexit 7\n", 2, "exit 7"),
}


@pytest.fixture
def script(bare):
    """Runs a script of our kind with this body; its report, with the lines counted from the body's first."""

    def run(body):
        head = '#!/bin/sh\nset -u\n. "/{}/lib.sh"\n[ -n "${{RUN:-}}" ] || traced "$0" "$@"\n'.format(PORTAL)
        bare.portal({"test.sh": head + body})
        report = bare.run("test.sh")
        for failure in report["failed"]:
            if "line" in failure:
                failure["line"] -= head.count("\n")
        return report

    return run


def test_a_failing_command_is_named_with_its_line(script):
    for name, (body, line, command) in FAILING.items():
        (failure,) = script(body)["failed"]
        assert (failure["step"], failure["line"], failure["message"]) == ("test.sh", line, command), name
    assert "/missing" in script(FAILING["in a function"][0])["failed"][0]["output"]
    assert "missing" in script(FAILING["not set"][0])["failed"][0]["output"]
    # Positive control: the same commands where they do not count.
    assert script("if false; then :; fi\ncat /missing || true\n! grep x /dev/null\n") == {
        "script": "test.sh",
        "changed": [],
        "failed": [],
    }


def test_what_was_done_before_a_failure_is_reported_too(script):
    report = script('changed file /etc/x added\nfailed step "went wrong" \nfalse\n')
    assert report["changed"] == [{"kind": "file", "name": "/etc/x", "action": "added"}]
    assert [failure.get("message") for failure in report["failed"]] == ["went wrong", "false"]


def test_output_is_bounded_to_its_last_lines(script):
    (failure,) = script("seq 1 5000 >&2\nfalse\n")["failed"]
    assert failure["output"].split() == [str(number) for number in range(4981, 5001)]


@pytest.mark.parametrize("shell", ["ash", "sh"])
@pytest.mark.parametrize(
    "path",
    sorted(
        [
            path
            for path in (SCRIPTS.parents[1]).glob("*/files/**/*")
            if path.is_file() and path.read_bytes()[:9] in (b"#!/bin/sh", b"#!/sbin/o")
        ]
        + [SCRIPTS / "lib.sh"]
    ),
    ids=lambda path: path.name,
)
def test_busybox_reads_every_script(busybox_bin, shell, path):
    subprocess.run([busybox_bin / shell, "-n", str(path)], check=True)


def test_busybox_would_refuse_a_broken_script(busybox_bin, tmp_path):
    shutil.copy(SCRIPTS / "lib.sh", tmp_path / "lib.sh")
    with open(tmp_path / "lib.sh", "a") as file:
        file.write("if true; then\n")
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.run([busybox_bin / "sh", "-n", str(tmp_path / "lib.sh")], check=True, stderr=subprocess.DEVNULL)
