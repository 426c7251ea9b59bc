# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one error our code on universe raises on purpose."""


class MultiverseError(Exception):
    """Something a person has to act on.

    The message says what was wrong, where (object, field, value) and what to do. A module hands it to ``fail_json``
    as it is; every other exception is a bug and keeps its traceback.
    """
