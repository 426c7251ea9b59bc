"""Text for people: tables, durations, and guest output made harmless for a terminal."""


def harmless(text):
    """*text* with everything a terminal could act on escaped; newlines and tabs stay."""
    return "".join(
        char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode("ascii") for char in text
    )


def cell(value):
    """One value of a table, on one line."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return harmless(str(value)).replace("\n", " ").replace("\t", " ")


def duration(seconds):
    """Seconds as the two largest units: 3d 4h, 5m 12s; None stays None."""
    if seconds is None:
        return None
    rest, parts = int(seconds), []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count or parts or unit == "s":
            parts.append("{0}{1}".format(count, unit))
    return " ".join(parts[:2])


def table(headings, rows):
    """Aligned columns, two spaces between them; the last column is not padded."""
    lines = [list(headings)] + [[cell(value) for value in row] for row in rows]
    widths = [max(len(line[number]) for line in lines) for number in range(len(headings))]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip() for line in lines)
