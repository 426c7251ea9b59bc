"""Ansible's own types become Python's."""

import yaml
from ansible_collections.multiverse.router_controller.plugins.plugin_utils.topology.natives import natives


class Text(str):
    """A tagged str, as ansible-core 2.19 has them."""

    def __str__(self):
        raise AssertionError("not to be called")


class Number(int):
    pass


class Mapping(dict):
    pass


class EncryptedString:
    """Named as Ansible's class is."""

    def __init__(self, value):
        self.value = value

    def __str__(self):
        if self.value is None:
            raise ValueError("no vault secret")
        return self.value


def types(value):
    inner = [*value.keys(), *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return {type(value)}.union(*map(types, inner))


def test_subclasses_become_exact_types():
    given = Mapping({Text("a"): [Text("b"), Number(3), True, None, 1.5, (Text("c"),)]})
    assert natives(given) == {"a": ["b", 3, True, None, 1.5, ["c"]]}
    assert types(natives(given)) == {dict, list, str, int, bool, type(None), float}


def test_vaulted_text_is_decrypted():
    locked = EncryptedString(None)
    assert natives([EncryptedString("open"), locked]) == ["open", locked]


def test_depth_and_size_are_bounded():
    loop = yaml.safe_load("&a [*a]")
    natives(loop)
    wide = [loop] * 1000
    natives([wide] * 1000)
