"""Which tests are `fast`: all that take less than a tenth of a second, as `seconds.json` has it.

    pytest -m "" --measure

measures all tests anew, or some of them, and writes what the longer ones take: seconds of the processor, of the test
and of what its class sets up. A test that has not been measured yet is fast.
"""

import collections
import gc
import json
import os
import pathlib
import sys

import pytest

SECONDS = pathlib.Path(__file__).parent / "seconds.json"
LONGEST = 0.1

_measured, _set_up = {}, collections.defaultdict(float)


def pytest_addoption(parser):
    parser.addoption("--measure", action="store_true", help="write what each test takes to tests/seconds.json")


def pytest_configure(config):
    # Workers that share cores wait for each other; by cores of their own they are a sixth faster.
    worker = getattr(config, "workerinput", None)
    if worker is not None and sys.platform == "linux":
        cores, number = sorted(os.sched_getaffinity(0)), int(worker["workerid"].removeprefix("gw"))
        os.sched_setaffinity(0, cores[number :: worker["workercount"]] or cores)


def pytest_collection_modifyitems(items):
    longer, by_file = json.loads(SECONDS.read_text("utf-8")), collections.Counter()
    for item in items:
        if item.nodeid not in longer and item.get_closest_marker("slow") is None:
            item.add_marker("fast")
        by_file[item.path] += longer.get(item.nodeid, 0.0)
    # Long files first, so that no worker is left with one when the others have done.
    items.sort(key=lambda item: by_file[item.path], reverse=True)


def pytest_collection_finish():
    # What has been imported stays, so that garbage need not be looked for in it, which takes a twentieth of the time.
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    started = _seconds()
    try:
        return (yield)
    finally:
        _set_up[_class_of(item.nodeid)] = max(_set_up[_class_of(item.nodeid)], _seconds() - started)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    started = _seconds()
    try:
        return (yield)
    finally:
        # What a report carries comes to the process that writes.
        item.user_properties.append(("seconds", _seconds() - started + _set_up[_class_of(item.nodeid)]))


def pytest_runtest_logreport(report):
    properties = dict(report.user_properties)
    if "seconds" in properties:  # Reports of subtests have none.
        _measured[report.nodeid] = properties["seconds"]


def pytest_sessionfinish(session):
    if session.config.getoption("measure") and not hasattr(session.config, "workerinput"):
        longer = {test: s for test, s in json.loads(SECONDS.read_text("utf-8")).items() if test not in _measured}
        longer |= {test: round(seconds, 1) for test, seconds in _measured.items() if seconds >= LONGEST}
        SECONDS.write_text(json.dumps(dict(sorted(longer.items())), indent=0) + "\n", "utf-8")


def _class_of(test):
    return test.rpartition("::")[0]


def _seconds():
    """Of this process and of those that it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
