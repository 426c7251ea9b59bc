"""What routerd can answer other than success: one class a kind, each with its HTTP status (RFC 7807)."""

from .errors import MultiverseError


class Problem(MultiverseError):
    """A request that ends in an error. ``code`` is stable and meant for programs, the message for people."""

    status = 500
    code = "internal"
    title = "Internal error"


class BadRequest(Problem):
    status, code, title = 400, "bad-request", "The request is not valid"


class Forbidden(Problem):
    status, code, title = 403, "forbidden", "Not allowed on this socket"


class NotFound(Problem):
    status, code, title = 404, "not-found", "No such path"


class UnknownRouter(Problem):
    status, code, title = 404, "unknown-router", "No such router"


class UnknownRun(Problem):
    status, code, title = 404, "unknown-run", "No such run"


class RouterDown(Problem):
    status, code, title = 409, "router-down", "The router is not running"


class RunInProgress(Problem):
    status, code, title = 409, "run-in-progress", "A run of this router is in progress"


class TooLarge(Problem):
    status, code, title = 413, "too-large", "The request is too large"


class AgentRefused(Problem):
    """The agent answered, with an error of its own."""

    status, code, title = 502, "agent-refused", "The guest agent refused the command"


class BadReply(Problem):
    """The agent answered with something outside its protocol or our bounds."""

    status, code, title = 502, "bad-reply", "The guest agent's reply is not valid"


class Busy(Problem):
    status, code, title = 503, "busy", "The router is busy"


class LibvirtUnreachable(Problem):
    status, code, title = 503, "libvirt-unreachable", "libvirt does not answer"


class AgentUnreachable(Problem):
    status, code, title = 504, "agent-unreachable", "The guest agent does not answer"
