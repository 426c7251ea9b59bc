"""Renewal: only for files that changed, are at rest, and with nothing in progress."""

import os

from multiverse.renewal import Renewal, signature


def test_renewal(tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "api.py").write_text("1")
    (tmp_path / "routerd.json").write_text("{}")
    busy, renewed = [], []
    paths = [str(tmp_path / "routerd.json"), str(tmp_path / "code")]
    renewal = Renewal(paths, lambda: not busy, lambda: renewed.append(True))
    renewal.turn()
    renewal.turn()
    assert not renewed
    # An installation in progress: something differs at every look.
    for number in range(3):
        (tmp_path / "code" / "new{0}.py".format(number)).write_text("x")
        renewal.turn()
    assert not renewed
    busy.append(True)
    renewal.turn()
    assert not renewed
    busy.clear()
    renewal.turn()
    assert renewed == [True]


def test_taken_back_in_time(tmp_path):
    path = tmp_path / "routerd.json"
    path.write_text("{}")
    before = os.stat(str(path))
    renewed = []
    renewal = Renewal([str(path)], lambda: True, lambda: renewed.append(True))
    path.write_text("{ }")
    renewal.turn()
    path.write_text("{}")
    os.utime(str(path), ns=(before.st_atime_ns, before.st_mtime_ns))
    renewal.turn()
    renewal.turn()
    assert not renewed


def test_signature_of_what_is_gone(tmp_path):
    assert signature([str(tmp_path / "none")]) == {str(tmp_path / "none"): None}
