"""What reaches a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiverse import text


@given(st.text())
def test_nothing_a_terminal_acts_on_survives(value):
    for char in text.harmless(value):
        assert char.isprintable() or char in "\n\t"
    assert "\n" not in text.cell(value) and "\t" not in text.cell(value)


@pytest.mark.parametrize(
    "value, expected",
    [
        ("plain \u00e4\u20ac\n\tx", "plain \u00e4\u20ac\n\tx"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b2J\x7f\r\0", "\\x9b2J\\x7f\\r\\x00"),
        ("\u202etxt.exe", "\\u202etxt.exe"),
        ("\ud800", "\\ud800"),
    ],
)
def test_harmless(value, expected):
    assert text.harmless(value) == expected


@pytest.mark.parametrize(
    "seconds, expected",
    [(None, None), (0, "0s"), (59.9, "59s"), (60, "1m 0s"), (3725, "1h 2m"), (90061, "1d 1h"), (34560000, "400d 0h")],
)
def test_duration(seconds, expected):
    assert text.duration(seconds) == expected


def test_table():
    made = text.table(("A", "LONG"), [("x", None), ("yyy", True), ("\x1b", 5)])
    assert made == "A     LONG\nx     -\nyyy   yes\n\\x1b  5"
