"""Base images: nothing is under its name that is not complete and verified, whatever goes wrong on the way."""

import hashlib
import os
import socketserver
import threading
from contextlib import contextmanager

import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils import image_store
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.image_store import BaseImage

ALPINE = b"alpine" * 1000
SUM = hashlib.sha512(ALPINE).hexdigest()
OTHER = hashlib.sha512(b"other").hexdigest()


@pytest.fixture
def owners(monkeypatch):
    """Who got which file; the tests need not run as root."""
    given = {}
    monkeypatch.setattr(image_store.os, "chown", lambda path, uid, gid: given.update({path: (uid, gid)}))
    return given


@pytest.fixture
def source(tmp_path, owners):
    folder = tmp_path / "mirror"
    folder.mkdir()
    (folder / "alpine.qcow2").write_bytes(ALPINE)
    (folder / "alpine.qcow2.sha512").write_text(SUM + "  alpine.qcow2\n")
    return folder / "alpine.qcow2"


@pytest.fixture
def pool(tmp_path):
    folder = tmp_path / "pool [1]"
    folder.mkdir()
    return folder


def names(pool):
    return sorted(os.listdir(pool))


@pytest.mark.parametrize("form", ["{}", "file://{}"])
@pytest.mark.parametrize("declared", [None, SUM, SUM.upper()], ids=["asked", "declared", "in capitals"])
def test_an_image_is_fetched_and_verified(source, pool, owners, form, declared):
    image = BaseImage(str(pool), form.format(source), declared)
    assert image.sha512 is None
    image.fetch(group=7)
    assert image.sha512 == SUM
    assert names(pool) == ["alpine.qcow2", "alpine.qcow2.sha512"]
    for name in names(pool):
        assert (pool / name).stat().st_mode & 0o7777 == 0o440
    assert (pool / "alpine.qcow2").read_bytes() == ALPINE
    assert set(owners.values()) == {(0, 7)}


@pytest.mark.parametrize("declared", [None, OTHER], ids=["published", "declared"])
def test_a_wrong_sum_leaves_nothing(source, pool, declared):
    (source.parent / "alpine.qcow2.sha512").write_text(OTHER)
    image = BaseImage(str(pool), str(source), declared)
    with pytest.raises(MultiverseError) as caught:
        image.fetch(7)
    assert str(source) in str(caught.value) and OTHER[:16] in str(caught.value) and SUM[:16] in str(caught.value)
    assert ("multiverse_alpine.sha512" if declared else ".sha512") in str(caught.value)
    assert names(pool) == [] and image.sha512 is None


@pytest.mark.parametrize(
    "spoil, message",
    [
        (
            lambda source: (source.parent / "alpine.qcow2.sha512").unlink(),
            "alpine.qcow2.sha512 cannot be read: .*check mult",
        ),
        (lambda source: (source.parent / "alpine.qcow2.sha512").write_text("<html>"), "the first word is no SHA-512"),
        (lambda source: source.unlink(), "alpine.qcow2 cannot be read: .*No such file"),
    ],
    ids=["no sum", "a page instead of a sum", "no image"],
)
@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_what_cannot_be_had_is_named(source, pool, spoil, message, form):
    spoil(source)
    with pytest.raises(MultiverseError, match=message):
        BaseImage(str(pool), form.format(source), None).fetch(7)
    assert names(pool) == []


def test_a_declared_sum_that_changes_fetches_again(source, pool):
    BaseImage(str(pool), str(source), SUM).fetch(7)
    assert BaseImage(str(pool), str(source), None).sha512 == SUM
    newer = BaseImage(str(pool), str(source), OTHER)
    assert newer.sha512 is None
    # What is there stays until the new one is complete and right.
    with pytest.raises(MultiverseError):
        newer.fetch(7)
    assert BaseImage(str(pool), str(source), SUM).sha512 == SUM
    source.write_bytes(b"other")
    newer.fetch(7)
    assert newer.sha512 == OTHER and (pool / "alpine.qcow2").read_bytes() == b"other"


@pytest.mark.parametrize("call", ["fsync", "chown", "chmod", "rename"])
@pytest.mark.parametrize("nth", [1, 2])
def test_killed_at_any_point_no_sum_stands_beside_another_image(source, pool, monkeypatch, call, nth):
    image = BaseImage(str(pool), str(source), SUM)
    image.fetch(7)
    source.write_bytes(b"other")
    with pytest.MonkeyPatch.context() as broken:
        count = []

        def killed(*arguments):
            count.append(arguments)
            if len(count) == nth:
                raise KeyboardInterrupt
            return original(*arguments)

        original = getattr(os, call)
        broken.setattr(image_store.os, call, killed)
        with pytest.raises(KeyboardInterrupt):
            BaseImage(str(pool), str(source), OTHER).fetch(7)
    for declared in (None, SUM, OTHER):
        found = BaseImage(str(pool), str(source), declared).sha512
        assert found in (None, hashlib.sha512((pool / "alpine.qcow2").read_bytes()).hexdigest())
    assert not [name for name in names(pool) if name.startswith(".fetch")]
    repaired = BaseImage(str(pool), str(source), OTHER)
    repaired.fetch(7)
    assert repaired.sha512 == OTHER and names(pool) == ["alpine.qcow2", "alpine.qcow2.sha512"]


def test_the_rest_of_a_killed_download_is_swept_away_and_nothing_else(source, pool):
    (pool / ".fetch.abc").write_text("half")
    (pool / "mine.qcow2").write_text("mine")
    BaseImage(str(pool), str(source), SUM).fetch(7)
    assert names(pool) == ["alpine.qcow2", "alpine.qcow2.sha512", "mine.qcow2"]


@contextmanager
def serving(answer):
    """The URL of a server that sends these bytes and hangs up."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            while self.rfile.readline().strip():
                pass
            self.wfile.write(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield "http://127.0.0.1:{}/v3/alpine.qcow2".format(server.server_address[1])
        server.shutdown()


OK = b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(ALPINE)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_download(pool, owners):
    with serving(OK + ALPINE) as url:
        BaseImage(str(pool), url, SUM).fetch(7)
    assert names(pool) == ["alpine.qcow2", "alpine.qcow2.sha512"]


@pytest.mark.parametrize(
    "answer",
    [OK + ALPINE[:-1], CHUNKED + b"2000\r\nonly this", CHUNKED + b"zz\r\n", b"HTTP/1.0 404 Not Found\r\n\r\n", b""],
    ids=["cut off", "chunk cut off", "no chunk", "not found", "nothing"],
)
def test_a_broken_download_is_an_error_of_ours_and_leaves_nothing(pool, owners, answer):
    with serving(answer) as url:
        with pytest.raises(MultiverseError, match="^" + url.replace(".", "[.]")):
            BaseImage(str(pool), url, SUM).fetch(7)
    assert names(pool) == []


def test_an_endless_image_ends(source, pool, monkeypatch):
    monkeypatch.setattr(image_store, "MAX_SIZE", len(ALPINE) - 1)
    with pytest.raises(MultiverseError, match="is larger than"):
        BaseImage(str(pool), str(source), SUM).fetch(7)
    assert names(pool) == []


def test_an_image_without_its_sum_or_a_sum_without_its_image_is_not_there(source, pool):
    image = BaseImage(str(pool), str(source), None)
    for missing in ("alpine.qcow2", "alpine.qcow2.sha512"):
        image.fetch(7)
        assert image.sha512 == SUM
        (pool / missing).unlink()
        assert image.sha512 is None
    image.fetch(7)
    (pool / "alpine.qcow2.sha512").chmod(0o600)
    (pool / "alpine.qcow2.sha512").write_text("")
    assert image.sha512 is None
