"""routerctl, the command line of routerd."""

import argparse
import base64
import json
import os
import sys

from .errors import MultiverseError
from .routerd_client import SOCKET, Client, RouterdProblem, RouterdUnreachable
from .text import cell, duration, harmless, table

OK, FAILED, USAGE, UNREACHABLE, UNKNOWN, UNAVAILABLE, TIMED_OUT = 0, 1, 2, 3, 4, 5, 124

EPILOG = """exit codes:
  0    done
  1    the run failed, or routerd refused the request
  2    wrong usage
  3    routerd could not be reached
  4    there is no such router or run
  5    the router is down, busy, or its agent does not answer
  124  timed out, and killed
`exec` exits with the code of its command; its own errors have the codes above and a line "routerctl: ..." on stderr.
"""
LIFTED = {"bad-request": USAGE, "unknown-router": UNKNOWN, "unknown-run": UNKNOWN}
AWAY = ("busy", "run-in-progress", "router-down", "agent-unreachable", "libvirt-unreachable", "bad-reply")


class Output:
    """Where results go. What a guest wrote reaches a terminal only escaped."""

    def __init__(self, stdout, stderr):
        self.stdout = stdout
        self.stderr = stderr

    def line(self, text):
        self.stdout.write(text + "\n")

    def json(self, value):
        self.line(json.dumps(value, indent=2, sort_keys=True))

    def note(self, text):
        self.stderr.write("routerctl: {0}\n".format(harmless(text)))

    def guest(self, stream, data):
        """Passes *data* (bytes of a guest) to *stream*: as it is, or escaped where the stream is a terminal."""
        if stream.isatty():
            stream.write(harmless(data.decode("utf-8", "backslashreplace")))
        else:
            stream.flush()
            stream.buffer.write(data)
        stream.flush()


def exact(answer, name):
    """The bytes of one output in an answer of exec."""
    if name + "_b64" in answer:
        return base64.b64decode(answer[name + "_b64"])
    return answer[name].encode("utf-8", "surrogatepass")


def status(client, options, out):
    answer = client.status()
    if options.json:
        out.json(answer)
        return OK
    if not answer["libvirt"]["connected"]:
        out.note("libvirt: {0}".format(answer["libvirt"]["error"]))
    rows = [
        (
            router["name"], router["kind"], router["state"], router["agent"], router["provisioned"],
            duration(router["uptime"]),
        )
        for router in answer["routers"]
    ]  # fmt: skip
    out.line(table(("ROUTER", "KIND", "STATE", "AGENT", "PROVISIONED", "UPTIME"), rows))
    return OK


def execute(client, options, out):
    if not options.words:
        out.note("no command; use: routerctl exec NAME -- COMMAND")
        return USAGE
    extra = {}
    if options.stdin:
        extra["stdin_b64"] = base64.b64encode(sys.stdin.buffer.read()).decode("ascii")
    env = dict(pair.partition("=")[::2] for pair in options.env) if options.env else None
    answer = client.execute(options.name, options.words, options.timeout, env, **extra)
    if options.json:
        out.json(answer)
    else:
        out.guest(out.stdout, exact(answer, "stdout"))
        out.guest(out.stderr, exact(answer, "stderr"))
        if answer["truncated"]:
            out.note("the output was longer than routerd keeps; its end is missing")
    if answer["timed_out"]:
        out.note("not done within {0} s, killed".format(options.timeout))
        return TIMED_OUT
    if answer["exit_code"] is None:
        return 128 + (answer["signal"] or 0)
    # A shell's view of an exit code is one byte.
    return answer["exit_code"] & 255 or (1 if answer["exit_code"] else 0)


def run(client, options, out):
    begun = client.start_run(options.name, options.script, options.words, options.inputs, options.deadline)
    done = client.wait_run(options.name, begun["id"], options.deadline + 60)
    if options.json:
        out.json(done)
    else:
        out.guest(out.stdout, done["stdout"].encode("utf-8", "surrogatepass"))
        out.guest(out.stderr, done["stderr"].encode("utf-8", "surrogatepass"))
        for failure in (done["result"] or {}).get("failed") or []:
            out.note("failed: {0}".format(cell(failure)))
        if done["error"]:
            out.note(done["error"])
        if not done["ok"]:
            out.note("run {0} of {1}.sh failed (exit code {2})".format(done["id"], done["script"], done["exit_code"]))
    if done["timed_out"]:
        return TIMED_OUT
    return OK if done["ok"] else FAILED


def runs(client, options, out):
    if options.id:
        out.json(client.run(options.name, options.id))
        return OK
    found = client.runs(options.name)
    if options.json:
        out.json({"runs": found})
        return OK
    keys = ("id", "script", "state", "ok", "exit_code", "started", "finished", "inputs")
    out.line(table([key.upper().replace("_", " ") for key in keys], [[entry[key] for key in keys] for entry in found]))
    return OK


def _parser():
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--socket", default=argparse.SUPPRESS, help="routerd's socket (default: {0})".format(SOCKET))
    common.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON, for programs")
    parser = argparse.ArgumentParser(
        prog="routerctl", description="Shows and controls the routers of this machine.", epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter, parents=[common],
    )  # fmt: skip
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    verbs.required = True

    def verb(name, function, text):
        made = verbs.add_parser(
            name, help=text, description=text, epilog=EPILOG, parents=[common],
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        made.set_defaults(function=function)
        return made

    verb("status", status, "a table of all routers")
    made = verb("exec", execute, "run a command in a router: routerctl exec NAME -- COMMAND")
    made.add_argument("name", metavar="NAME")
    made.add_argument("words", nargs="*", metavar="-- COMMAND")
    made.add_argument("-i", "--stdin", action="store_true", help="pass standard input on (all of it, at most 1 MiB)")
    made.add_argument("-e", "--env", action="append", metavar="NAME=VALUE", help="set a variable; may be repeated")
    made.add_argument("-t", "--timeout", type=float, default=30, help="seconds, up to 3600 (default: 30)")
    made = verb("run", run, "run packages.sh or provision.sh of a router and wait: routerctl run NAME SCRIPT [-- ARGS]")
    made.add_argument("name", metavar="NAME")
    made.add_argument("script", metavar="SCRIPT", choices=("packages", "provision"), help="packages or provision")
    made.add_argument("words", nargs="*", metavar="-- ARGS")
    made.add_argument("--inputs", help="a text to remember with the run, such as the hash of its inputs")
    made.add_argument("-t", "--deadline", type=float, default=300, help="seconds, up to 3600 (default: 300)")
    made = verb("runs", runs, "the latest runs of a router, or all of one")
    made.add_argument("name", metavar="NAME")
    made.add_argument("id", nargs="?", metavar="RUN")
    return parser


def parse(arguments):
    """The options; everything after the first "--" belongs to the guest and is not looked at."""
    words = []
    if "--" in arguments:
        cut = arguments.index("--")
        arguments, words = arguments[:cut], arguments[cut + 1 :]
    parser = _parser()
    options = parser.parse_args(arguments)
    options.socket = getattr(options, "socket", SOCKET)
    options.json = getattr(options, "json", False)
    if words and not hasattr(options, "words"):
        parser.error("{0} takes nothing after --".format(options.verb))
    options.words = getattr(options, "words", []) + words
    if any("=" not in pair for pair in getattr(options, "env", None) or []):
        parser.error("--env: NAME=VALUE is expected")
    return options


def main(arguments=None, out=None):
    options = parse(sys.argv[1:] if arguments is None else arguments)
    out = out or Output(sys.stdout, sys.stderr)
    try:
        code = options.function(Client(options.socket), options, out)
        out.stdout.flush()
        return code
    except RouterdUnreachable as error:
        out.note(str(error))
        return UNREACHABLE
    except RouterdProblem as error:
        out.note(str(error))
        return LIFTED.get(error.code, UNAVAILABLE if error.code in AWAY else FAILED)
    except MultiverseError as error:
        out.note(str(error))
        return FAILED
    except BrokenPipeError:
        # The reader is gone (head, less): keep the interpreter from complaining at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return FAILED
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
