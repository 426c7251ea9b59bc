"""The agent's protocol against honest and hostile replies."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiverse import agent
from multiverse.problems import BadReply


def b64(data):
    return base64.b64encode(data).decode()


def status(**members):
    return json.dumps({"return": dict({"exited": True}, **members)})


GOOD = [
    (status(exitcode=0), agent.ExecStatus(True, 0, None, b"", b"", False)),
    (json.dumps({"return": {"exited": False}}), agent.ExecStatus(False, None, None, b"", b"", False)),
    (status(signal=9), agent.ExecStatus(True, None, 9, b"", b"", False)),
    (
        status(exitcode=3, **{"out-data": b64(b"a\0\xff"), "err-data": b64(b"e"), "err-truncated": True}),
        agent.ExecStatus(True, 3, None, b"a\0\xff", b"e", True),
    ),
]


@pytest.mark.parametrize("text, expected", GOOD)
def test_status_reply(text, expected):
    assert agent.status_reply(text) == expected


HOSTILE = {
    "nothing": "",
    "not JSON": "hello",
    "two values": "{}{}",
    "a list": "[]",
    "no return": "{}",
    "return is text": '{"return": "x"}',
    "return is null": '{"return": null}',
    "no exited": '{"return": {}}',
    "exited is a number": '{"return": {"exited": 1}}',
    "exit code is text": status(exitcode="0"),
    "exit code is true": status(exitcode=True),
    "exit code is a float": status(exitcode=0.0),
    "exit code is huge": status(exitcode=2**40),
    "signal is negative": status(signal=-1),
    "data is a number": status(**{"out-data": 5}),
    "data is not base64": status(**{"out-data": "a b="}),
    "data has an escape": status(**{"out-data": "\x1b[2Jaaaa"}),
    "data is not ASCII": status(**{"out-data": "\u00e4aaa"}),
    "data has bad padding": status(**{"out-data": "abc"}),
    "truncated is text": status(**{"out-truncated": "no"}),
    "NaN": '{"return": {"exited": true, "exitcode": NaN}}',
    "Infinity": '{"return": {"exited": true, "exitcode": Infinity}}',
    "a million digits": '{"return": {"exited": true, "exitcode": ' + "9" * 1000000 + "}}",
    "the same key twice": '{"return": {"exited": true, "exited": false}}',
    "deep list": '{"return": ' + "[" * 500 + "]" * 500 + "}",
    "deeper than the parser": "[" * 200000,
    "deep objects": '{"a":' * 100000,
    "too many items": json.dumps({"return": {"exited": True, "x": [0] * 10000}}),
    "too large": " " * (agent.MAX_REPLY + 1),
    "bytes": b'{"return": {"exited": true}}',
    "none": None,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_status_is_refused(text):
    with pytest.raises(BadReply):
        agent.status_reply(text)


@pytest.mark.parametrize("pid", [0, -1, True, 1.5, "7", None, 2**31, [7]])
def test_hostile_pid_is_refused(pid):
    with pytest.raises(BadReply):
        agent.exec_reply(json.dumps({"return": {"pid": pid}}))


def test_pid():
    assert agent.exec_reply('{"return": {"pid": 812}}') == 812


@pytest.mark.parametrize("text", ['{"return": {"a": 1}}', '{"return": []}', '{"error": {}}'])
def test_ping_wants_nothing_but_an_empty_object(text):
    agent.ping_reply('{"return": {}}')
    with pytest.raises(BadReply):
        agent.ping_reply(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.one_of(st.text(), json_values.map(json.dumps)))
def test_any_text_is_parsed_or_refused(text):
    """Never any other exception, and what comes out can be encoded and sent on."""
    for read in (agent.status_reply, agent.exec_reply, agent.ping_reply, agent.parse):
        try:
            value = read(text)
        except BadReply:
            continue
        if read is agent.parse:
            json.dumps(value, ensure_ascii=False).encode("utf-8")


@given(
    st.fixed_dictionaries(
        {},
        optional={
            key: json_values
            for key in ("exited", "exitcode", "signal", "out-data", "err-data", "out-truncated", "err-truncated")
        },
    )
)
def test_any_status_is_typed_or_refused(members):
    try:
        result = agent.status_reply(json.dumps({"return": members}))
    except BadReply:
        return
    assert isinstance(result.exited, bool) and isinstance(result.truncated, bool)
    assert isinstance(result.stdout, bytes) and isinstance(result.stderr, bytes)
    assert result.exit_code is None or type(result.exit_code) is int
    assert result.signal is None or type(result.signal) is int


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_output_round_trip(out, err):
    result = agent.status_reply(status(exitcode=0, **{"out-data": b64(out), "err-data": b64(err)}))
    assert (result.stdout, result.stderr) == (out, err)


def test_lone_surrogates_do_not_survive():
    assert agent.parse('["\\ud800x"]') == ["?x"]


def test_exec_request_is_plain_data():
    arguments = ["-c", 'echo "$1"', "\u00e4 ;\n"]
    request = json.loads(agent.exec_request("/bin/sh", arguments, b"\0in", {"B": "2", "A": "1 2"}))
    assert request == {
        "execute": "guest-exec",
        "arguments": {
            "path": "/bin/sh",
            "arg": arguments,
            "capture-output": True,
            "input-data": b64(b"\0in"),
            "env": ["A=1 2", "B=2"],
        },
    }


def test_other_requests():
    assert json.loads(agent.ping_request()) == {"execute": "guest-ping"}
    assert json.loads(agent.status_request(5)) == {"execute": "guest-exec-status", "arguments": {"pid": 5}}
