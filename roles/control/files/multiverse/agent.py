"""The QEMU guest agent's protocol, pure: requests as text, replies checked.

Whatever a guest sends is hostile until it went through here: size, nesting, types and ranges are bounded, and base64
is decoded strictly. Source: ``qga/qapi-schema.json`` of QEMU, commands guest-ping, guest-exec, guest-exec-status.
"""

import base64
import binascii
import json
from collections import namedtuple

from .problems import BadReply

#: Bytes of one reply. libvirt hands over at most one RPC string of 4 MiB.
MAX_REPLY = 4 * 1024 * 1024
MAX_DEPTH = 8
MAX_ITEMS = 4096
MAX_NUMBER = 40

ExecStatus = namedtuple("ExecStatus", "exited exit_code signal stdout stderr truncated")


def _number(text):
    """A number of sane length: int() of a million digits would stop the process for minutes."""
    if len(text) > MAX_NUMBER:
        raise ValueError("a number of {0} digits".format(len(text)))
    return float(text) if "." in text or "e" in text or "E" in text else int(text)


def _constant(name):
    raise ValueError("{0} is not JSON".format(name))


def _members(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("an object with the same key twice")
    return members


def _clean(value, depth, budget):
    """Checks nesting and count of *value*, and replaces lone surrogates, which no output could encode."""
    budget[0] -= 1
    if depth < 0:
        raise ValueError("nested too deeply")
    if budget[0] < 0:
        raise ValueError("too many items")
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [_clean(item, depth - 1, budget) for item in value]
    if isinstance(value, dict):
        return dict((_clean(key, 0, budget), _clean(item, depth - 1, budget)) for key, item in value.items())
    return value


def parse(text, max_bytes=MAX_REPLY, max_depth=MAX_DEPTH, max_items=MAX_ITEMS):
    """Decodes untrusted JSON within bounds.

    :param text: str; its length stands for its bytes, replies being ASCII but for names
    :raises BadReply: not JSON, larger, deeper or richer than allowed
    """
    if not isinstance(text, str):
        raise BadReply("the reply is {0}, not text".format(type(text).__name__))
    if len(text) > max_bytes:
        raise BadReply("the reply is larger than {0} bytes".format(max_bytes))
    try:
        value = json.loads(
            text, parse_int=_number, parse_float=_number, parse_constant=_constant, object_pairs_hook=_members
        )
        return _clean(value, max_depth, [max_items])
    except RecursionError:
        raise BadReply("the reply is not usable JSON: nested too deeply") from None
    except ValueError as error:
        raise BadReply("the reply is not usable JSON: {0}".format(str(error)[:200])) from error


def _request(command, arguments=None):
    message = {"execute": command}
    if arguments is not None:
        message["arguments"] = arguments
    return json.dumps(message, sort_keys=True)


def ping_request():
    return _request("guest-ping")


def exec_request(path, arguments, stdin=None, env=None):
    """Starts *path* (absolute) with *arguments* (list of str) in the guest and captures its output.

    :param stdin: bytes or None
    :param env: dict or None; a dict replaces the agent's whole environment, so PATH has to be in it
    """
    body = {"path": path, "arg": list(arguments), "capture-output": True}
    if stdin is not None:
        body["input-data"] = base64.b64encode(stdin).decode("ascii")
    if env is not None:
        body["env"] = ["{0}={1}".format(name, env[name]) for name in sorted(env)]
    return _request("guest-exec", body)


def status_request(pid):
    return _request("guest-exec-status", {"pid": pid})


def _returned(text):
    reply = parse(text)
    if not isinstance(reply, dict) or not isinstance(reply.get("return"), dict):
        raise BadReply("the reply has no object 'return'")
    return reply["return"]


def ping_reply(text):
    """:raises BadReply: anything but ``{"return": {}}``"""
    if _returned(text):
        raise BadReply("the reply to guest-ping is not empty")


def _integer(members, key, low, high, default=None):
    value = members.get(key, default)
    if value is default:
        return default
    # bool is an int in Python, not in JSON.
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BadReply("'{0}' is not a whole number from {1} to {2}".format(key, low, high))
    return value


def _boolean(members, key):
    value = members.get(key, False)
    if not isinstance(value, bool):
        raise BadReply("'{0}' is neither true nor false".format(key))
    return value


def _data(members, key):
    value = members.get(key, "")
    if not isinstance(value, str):
        raise BadReply("'{0}' is not text".format(key))
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise BadReply("'{0}' is not base64".format(key)) from None


def exec_reply(text):
    """The process id (int, of the guest) in the reply to guest-exec."""
    pid = _integer(_returned(text), "pid", 1, 2**31 - 1)
    if pid is None:
        raise BadReply("the reply to guest-exec has no 'pid'")
    return pid


def status_reply(text):
    """The :class:`ExecStatus` in the reply to guest-exec-status; stdout and stderr are bytes."""
    members = _returned(text)
    if "exited" not in members:
        raise BadReply("the reply to guest-exec-status has no 'exited'")
    return ExecStatus(
        exited=_boolean(members, "exited"),
        exit_code=_integer(members, "exitcode", -(2**31), 2**32 - 1),
        signal=_integer(members, "signal", 0, 128),
        stdout=_data(members, "out-data"),
        stderr=_data(members, "err-data"),
        truncated=_boolean(members, "out-truncated") or _boolean(members, "err-truncated"),
    )
