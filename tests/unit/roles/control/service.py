"""routerd in a thread, as server.py runs it: real waitress, real unix socket, guests of fake_libvirt."""

import contextlib
import threading

from multiverse import api, config, server
from multiverse.controller import Controller
from multiverse.routerd_client import Client


def settings(folder, *names, **options):
    routers = [
        config.Router(name, "galaxy", number, None, name + "-portal", str(folder / "portal"))
        for number, name in enumerate(names)
    ]
    values = dict(connect_uri="qemu:///fake", socket=str(folder / "s"), state_dir=str(folder), heartbeat=0.1)
    return config.Config(routers=routers, **dict(values, **options))


@contextlib.contextmanager
def running(settings, libvirt, allowed=api.ADMIN):
    """Yields a client; ``client.controller`` is what it talks to."""
    controller = Controller(settings, libvirt)
    sockets = {}
    endpoint = server.Endpoint(settings.socket, 0o660, api.make_app(controller, allowed), controller.threads)
    served = server.listen(endpoint, sockets)
    stop = threading.Event()

    def loop():
        while not stop.is_set():
            served.asyncore.loop(timeout=0.02, map=sockets, count=1)

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    controller.start()
    client = Client(settings.socket)
    client.controller = controller
    try:
        yield client
    finally:
        controller.end()
        stop.set()
        thread.join(5)
        served.task_dispatcher.shutdown(timeout=0.1)
        served.asyncore.close_all(sockets)
