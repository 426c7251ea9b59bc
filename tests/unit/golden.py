"""Reads the cases of tests/golden: one folder per case, everything in it is data."""

from pathlib import Path
from xml.etree import ElementTree

import yaml

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


class Case:
    """desired.yml: what is declared; current.xml, live.xml: libvirt's definitions, absent where there is none;
    state.yml: the rest of the current state; expected.yml: description, and the changes or the error;
    expected.xml: the definition that libvirt gets."""

    def __init__(self, folder):
        self.folder = folder
        self.desired = self._yaml("desired.yml")
        self.state = self._yaml("state.yml") or {}
        self.current_xml = self._text("current.xml")
        self.live_xml = self._text("live.xml")
        self.expected_xml = self._text("expected.xml")
        expected = self._yaml("expected.yml")
        self.error = expected.get("error")
        self.changes = [tuple(change) for change in expected.get("changes", [])]

    def _text(self, name):
        path = self.folder / name
        return path.read_text() if path.exists() else None

    def _yaml(self, name):
        text = self._text(name)
        return text and yaml.safe_load(text)


def cases(kind):
    """The cases of a kind, as pytest parameters named by their folders."""
    folders = sorted(path for path in (GOLDEN / kind).iterdir() if path.is_dir())
    return {"argvalues": [Case(folder) for folder in folders], "ids": [folder.name for folder in folders]}


def canonical(text):
    """XML text in the one form in which equal documents are equal."""
    return ElementTree.canonicalize(text, strip_text=True, rewrite_prefixes=True)
