"""The REST API, version 1, as a WSGI application over a :class:`controller.Controller`."""

import json
import logging
from collections import namedtuple

import bottle

from . import bodies
from .problems import Forbidden, NotFound, Problem, TooLarge

log = logging.getLogger("routerd")
audit = logging.getLogger("routerd.audit")

Route = namedtuple("Route", "name method path")

#: Every verb there is. A socket serves those whose names its policy allows; the others are 403 on it.
ROUTES = (
    Route("status", "GET", "/v1/status"),
    Route("router", "GET", "/v1/routers/<name>"),
    Route("exec", "POST", "/v1/routers/<name>/exec"),
    Route("start_run", "POST", "/v1/routers/<name>/runs"),
    Route("runs", "GET", "/v1/routers/<name>/runs"),
    Route("run", "GET", "/v1/routers/<name>/runs/<identifier>"),
)
ADMIN = frozenset(route.name for route in ROUTES)


def peer_of(environ):
    """The process at the other end, as server.py put it there: {"pid", "uid", "gid"}, or None."""
    try:
        pid, uid, gid = (int(number) for number in environ.get("REMOTE_ADDR", "").split(":"))
    except ValueError:
        return None
    return {"pid": pid, "uid": uid, "gid": gid}


def read_body():
    """The JSON object of the current request."""
    length = bottle.request.content_length
    if length > bodies.MAX_BODY:
        raise TooLarge("the body is larger than {0} bytes".format(bodies.MAX_BODY))
    return bodies.body(bottle.request.environ["wsgi.input"].read(max(length, 0)))


def answer(value, status=200, content_type="application/json", headers=()):
    """A JSON response. ASCII only, so that a guest's text cannot break it."""
    response = bottle.HTTPResponse(json.dumps(value, sort_keys=True) + "\n", status)
    response.set_header("Content-Type", content_type)
    for name, text in headers:
        response.set_header(name, text)
    return response


def problem_answer(problem, headers=()):
    """*problem* as application/problem+json."""
    if problem.status == 503:
        headers = tuple(headers) + (("Retry-After", "1"),)
    value = {
        "type": "urn:multiverse:" + problem.code, "title": problem.title, "status": problem.status,
        "code": problem.code, "detail": str(problem), "instance": bottle.request.path,
    }  # fmt: skip
    return answer(value, problem.status, "application/problem+json", headers)


def _default_error(response):
    """bottle's own errors (no such path, wrong method, a bug), in our form."""
    status = response.status_code
    if status == 404:
        problem = NotFound("there is nothing at this path; see GET /v1/status")
    else:
        problem = Problem("see the journal of multiverse-routerd.service" if status >= 500 else str(response.body))
        problem.status, problem.title = status, response.status_line.split(" ", 1)[-1]
        problem.code = {405: "method-not-allowed", 400: "bad-request"}.get(status, "internal")
    if status >= 500:
        log.error("request failed: %s", response.traceback or response.exception)
    made = problem_answer(problem)
    bottle.response.set_header("Content-Type", "application/problem+json")
    return made.body


class Verbs:
    """One method a route: takes the path's values, returns a response or the value of one."""

    def __init__(self, controller):
        self._controller = controller

    def status(self):
        return self._controller.status()

    def router(self, name):
        return self._controller.router(name)

    def exec(self, name):
        argv, stdin, env, timeout = bodies.execution(read_body())
        # The program's name only: arguments, environment and input may be secret.
        audit.info("exec router=%s peer=%s program=%s", json.dumps(name), _peer_text(), json.dumps(argv[0][:200]))
        return self._controller.execute(name, argv, stdin, env, timeout)

    def start_run(self, name):
        script, arguments, inputs, deadline = bodies.run(read_body())
        audit.info("run router=%s peer=%s script=%s", json.dumps(name), _peer_text(), script)
        peer = peer_of(bottle.request.environ)
        run = self._controller.start_run(name, script, arguments, inputs, deadline, peer)
        location = "/v1/routers/{0}/runs/{1}".format(name, run["id"])
        return answer(run, 202, headers=(("Location", location),))

    def runs(self, name):
        return {"runs": self._controller.runs(name)}

    def run(self, name, identifier):
        return self._controller.run(name, identifier)


def _peer_text():
    peer = peer_of(bottle.request.environ)
    return "unknown" if peer is None else "uid={uid},gid={gid},pid={pid}".format(**peer)


def _callback(route, verb, allowed):
    def call(**values):
        try:
            if route.name not in allowed:
                raise Forbidden("{0} {1} is not allowed on this socket".format(route.method, route.path))
            value = verb(**values)
        except Problem as problem:
            return problem_answer(problem)
        return value if isinstance(value, bottle.HTTPResponse) else answer(value)

    return call


def make_app(controller, allowed=ADMIN):
    """The application for one socket.

    :param allowed: names of the routes that this socket may use
    """
    app = bottle.Bottle()
    app.default_error_handler = _default_error
    verbs = Verbs(controller)
    for route in ROUTES:
        app.route(route.path, route.method, _callback(route, getattr(verbs, route.name), allowed))
    return app
