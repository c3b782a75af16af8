"""npm's ioredis and redis in RESP2 and RESP3: many clients, few links, and nobody notices. The programs are in node/."""
import json
import pathlib

import pytest
from harness.clients import run

PROGRAMS = pathlib.Path(__file__).parent / "node"


def node(program, protocol, modules):
    """All that its clients saw, by scenario."""
    env = {"NODE_PATH": modules, "NODE_OPTIONS": "--no-deprecation", "RESP": str(protocol)}
    return lambda port: json.loads(run(["node", PROGRAMS / program, port], env=env, patience=150))


@pytest.mark.parametrize("protocol", [2, 3])
def test_ioredis_notices_nothing(redis_compare, modules, protocol):
    answers = redis_compare(node("ioredis.js", protocol, modules))
    assert answers["values"][7][:3] == ["OK", "tag 7", 1]
    assert answers["pipelines"][7][:2] == ["OK", "0 of 7"]
    assert answers["transactions"][7][3:5] == ["QUEUED", [[None, "OK"]]] and None in answers["transactions"][7]
    assert answers["messages"][7][1][:3] == [f"message: own_7_ {n}" for n in range(3)]
    assert answers["blocking"][7] == [["q7", "one of 7"], ["q7", "two"], None, None,
                                      [["x7", [["1-1", ["f", "7"]], ["5-1", ["tag", "7"]]]]]]
    assert answers["settings"][7] == ["client-7", "OK", "OK", "OK", "of 2", None]


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_notices_nothing(redis_compare, modules, protocol):
    answers = redis_compare(node("redis.js", protocol, modules))
    assert answers["values"][7][:3] == ["OK", "tag 7", 1]
    assert "watched" in answers["transactions"][7] and ["OK", "mine"] in answers["transactions"][7]
    assert answers["messages"][7][1][-3:] == [f"smessage: shard_7 {n}" for n in range(3)]
    assert answers["blocking"][7][:2] == [{"key": "q7", "element": "one of 7"}, {"key": "q7", "element": "two"}]
    assert answers["pools"][7][19] == ["19", 20]
    assert answers["settings"][7] == ["client-7", "of 2", None]
    assert protocol == 2 or answers["caching"][7] == ["0", "0", "1", "1", "2", "2"]
