"""Checks the bodies of requests: what comes out is of the right type, bounded, and can be sent to a guest."""

import base64
import binascii
import re

from .agent import parse
from .problems import BadReply, BadRequest, TooLarge
from .runs import DEFAULT_DEADLINE, MAX_DEADLINE, SCRIPTS

MAX_BODY = 3 * 1024 * 1024
MAX_STDIN = 1024 * 1024
MAX_TEXT = 128 * 1024
DEFAULT_TIMEOUT, MAX_TIMEOUT = 30, 3600

ENV_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


def body(raw):
    """The JSON object in *raw* (bytes).

    :raises BadRequest: it is none
    """
    if len(raw) > MAX_BODY:
        raise TooLarge("the body is larger than {0} bytes".format(MAX_BODY))
    try:
        value = parse(raw.decode("utf-8"), MAX_BODY)
    except (UnicodeDecodeError, BadReply) as error:
        raise BadRequest("the body: {0}".format(str(error).replace("the reply is", "it is"))) from error
    if not isinstance(value, dict):
        raise BadRequest("the body is not a JSON object")
    return value


def _only(value, keys):
    unknown = sorted(set(value) - set(keys))
    if unknown:
        raise BadRequest("{0!r}: unknown; there are {1}".format(unknown[0][:64], ", ".join(keys)))


def _text(value, where):
    if not isinstance(value, str) or "\0" in value:
        raise BadRequest("{0}: a text without NUL is expected".format(where))
    return value


def _texts(value, where, low, high):
    if not isinstance(value, list) or not low <= len(value) <= high:
        raise BadRequest("{0}: a list of {1} to {2} texts is expected".format(where, low, high))
    texts = [_text(item, "{0}[{1}]".format(where, number)) for number, item in enumerate(value)]
    if sum(len(text) for text in texts) > MAX_TEXT:
        raise BadRequest("{0}: longer than {1} characters together".format(where, MAX_TEXT))
    return texts


def _seconds(value, where, high):
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= high:
        raise BadRequest("{0}: {1!r} is not a number of seconds up to {2}".format(where, value, high))
    return value


def _stdin(value):
    if "stdin" in value and "stdin_b64" in value:
        raise BadRequest("stdin, stdin_b64: only one of them")
    data = None
    if value.get("stdin") is not None:
        if not isinstance(value["stdin"], str):
            raise BadRequest("stdin: a text is expected; use stdin_b64 for bytes")
        data = value["stdin"].encode("utf-8")
    if value.get("stdin_b64") is not None:
        try:
            data = base64.b64decode(value["stdin_b64"], validate=True)
        except (binascii.Error, ValueError, TypeError):
            raise BadRequest("stdin_b64: not base64") from None
    if data is not None and len(data) > MAX_STDIN:
        raise TooLarge("stdin: larger than {0} bytes".format(MAX_STDIN))
    return data


def _env(value):
    if value is None:
        return None
    if not isinstance(value, dict) or len(value) > 64:
        raise BadRequest("env: an object of at most 64 texts is expected")
    for name in value:
        if not ENV_NAME.match(name):
            raise BadRequest("env: {0!r} is not a variable name".format(name[:64]))
    _texts([value[name] for name in sorted(value)], "env", 0, 64)
    return value


def execution(value):
    """(argv, stdin, env, timeout) of a body for exec."""
    _only(value, ("argv", "stdin", "stdin_b64", "env", "timeout"))
    argv = _texts(value.get("argv"), "argv", 1, 256)
    if not argv[0]:
        raise BadRequest("argv[0]: a program is expected")
    timeout = _seconds(value.get("timeout", DEFAULT_TIMEOUT), "timeout", MAX_TIMEOUT)
    return argv, _stdin(value), _env(value.get("env")), timeout


def run(value):
    """(script, arguments, inputs, deadline) of a body for runs."""
    _only(value, ("script", "arguments", "inputs", "deadline"))
    script = value.get("script")
    if script not in SCRIPTS:
        raise BadRequest("script: {0} is expected".format(" or ".join(SCRIPTS)))
    arguments = _texts(value.get("arguments", []), "arguments", 0, 16)
    inputs = value.get("inputs")
    if inputs is not None and len(_text(inputs, "inputs")) > 256:
        raise BadRequest("inputs: longer than 256 characters")
    return script, arguments, inputs, _seconds(value.get("deadline", DEFAULT_DEADLINE), "deadline", MAX_DEADLINE)
