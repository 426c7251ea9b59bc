"""Writes what a play did to the file named by MULTIVERSE_RECORD: the tasks that ran, and what the changed ones said."""

DOCUMENTATION = """
name: record
type: notification
short_description: Record a run for the tests
description: Writes the number of tasks and the results of changed ones as JSON.
"""

import json
import os

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "record"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super().__init__()
        self._tasks = 0
        self._changed = {}
        self._warnings = []

    def v2_runner_on_ok(self, result):
        self._tasks += 1
        self._warnings += [str(warning) for warning in result._result.get("warnings", [])]
        if result._result.get("changed"):
            name = result._task.get_name().split(" : ")[-1]
            self._changed[name] = json.loads(json.dumps(result._result, default=str))

    def v2_playbook_on_stats(self, stats):
        with open(os.environ["MULTIVERSE_RECORD"], "w", encoding="utf-8") as file:
            json.dump({"tasks": self._tasks, "changed": self._changed, "warnings": " ".join(self._warnings)}, file)
