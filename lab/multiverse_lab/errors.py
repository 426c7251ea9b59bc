"""The one error the lab raises for things it can foresee."""


class LabError(Exception):
    """What was wrong, where, and what to do; shown to the user without a traceback."""
