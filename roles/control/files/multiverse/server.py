"""The service routerd: unix sockets with peer credentials, logging to the journal, one process."""

import argparse
import logging
import os
import signal
import socket
import struct
import sys
from collections import namedtuple

from waitress.channel import HTTPChannel
from waitress.server import UnixWSGIServer

from . import api, config
from .bodies import MAX_BODY
from .controller import Controller
from .errors import MultiverseError
from .renewal import EXIT_CODE, Renewal

log = logging.getLogger("routerd")

#: A socket to serve: its path, its mode, the application, and how many requests it works on at once.
Endpoint = namedtuple("Endpoint", "path mode app threads")


def peer(connection):
    """ "pid:uid:gid" of the process that connected, as the kernel knows it."""
    size = struct.calcsize("3i")
    pid, uid, gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return "{0}:{1}:{2}".format(pid, uid, gid)


class PeerChannel(HTTPChannel):
    """A connection whose REMOTE_ADDR, of no use on a unix socket, tells who is at the other end."""

    def __init__(self, server, sock, addr, adj, map=None):
        try:
            addr = (peer(sock), None)
        except OSError:
            addr = ("unknown", None)
        super().__init__(server, sock, addr, adj, map=map)


class PeerServer(UnixWSGIServer):
    channel_class = PeerChannel


def listen(endpoint, sockets):
    """Serves *endpoint* from the loop over *sockets* (a dict that all endpoints of the process share)."""
    # waitress sets the mode after bind: until then nobody may connect.
    previous = os.umask(0o177)
    try:
        return PeerServer(
            endpoint.app,
            map=sockets,
            unix_socket=endpoint.path,
            unix_socket_perms="{0:o}".format(endpoint.mode),
            threads=endpoint.threads,
            ident="routerd",
            max_request_body_size=MAX_BODY + 1024,
            max_request_header_size=16 * 1024,
            connection_limit=200,
            channel_timeout=60,
        )
    finally:
        os.umask(previous)


def notify(message):
    """Tells systemd, where it asked to be told (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(message.encode("ascii"), address)


def _terminate(number, frame):
    raise SystemExit(0)


def _renew(renewals):
    log.info("code or configuration on disk have changed: starting anew")
    renewals.append(True)
    os.kill(os.getpid(), signal.SIGTERM)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="routerd", description="Controls the routers of this machine.")
    parser.add_argument("--config", default="/etc/multiverse/routerd.json", help="default: %(default)s")
    options = parser.parse_args(arguments)
    # The journal has times of its own.
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    # Busy threads are normal here: a request waits for its guest.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    renewals = []
    renewal = Renewal(
        [options.config, os.path.dirname(os.path.abspath(__file__))], lambda: controller.idle, lambda: _renew(renewals)
    )
    try:
        settings = config.load(options.config)
    except MultiverseError as error:
        log.error("%s", error)
        return 2
    # Found missing, a session libvirt would be spawned by the client library, and die with us.
    os.environ["LIBVIRT_AUTOSTART"] = "0"
    from .guests import Libvirt

    controller = Controller(settings, Libvirt(settings.connect_uri))
    server = listen(Endpoint(settings.socket, 0o660, api.make_app(controller), controller.threads), {})
    signal.signal(signal.SIGTERM, _terminate)
    controller.start()
    renewal.start()
    log.info("serving %d routers on %s", len(settings.routers), settings.socket)
    notify("READY=1")
    server.run()
    controller.end()
    return EXIT_CODE if renewals else 0


if __name__ == "__main__":
    sys.exit(main())
