"""npm's pg and postgres: many clients, two servers, and nobody notices. The programs are in node/."""
import json
import pathlib

import pytest
from harness.clients import run

pytestmark = pytest.mark.weir_only

PROGRAMS = pathlib.Path(__file__).parent / "node"


def node(program, modules):
    """All that its clients saw, by scenario. pg warns of what it will no longer allow in its next version."""
    env = {"NODE_PATH": modules, "NODE_OPTIONS": "--no-deprecation"}
    return lambda port: json.loads(run(["node", PROGRAMS / program, port], env=env, patience=150))


def test_pg_notices_nothing(compare, modules):
    answers = compare(node("pg.js", modules))
    assert answers["named"][3][:4] == [42, *({"n": 3 * n, "tag": "of 3"} for n in (1, 2, 3))]
    assert answers["transactions"][5][:2] == ["22P02", "25P02"]
    assert answers["cursors"][5][1] == 100 and answers["cursors"][5][-1] == 45150
    assert answers["notifications"][5][0] == [f"own_5: {n}" for n in range(4)]
    assert answers["cancels"][5] == [["57014", "canceling statement due to user request"], [{"n": 5}]]
    assert answers["pooled"][0][199] == {"n": 199, "who": "pooled", "kind": 3}


def test_postgres_notices_nothing(compare, modules):
    answers = compare(node("postgres.js", modules))
    assert answers["queries"][7][:3] == [[{"n": 8}], [{"tag": "tag 7"}], [{"list": [1, 2, 7]}]]
    assert answers["transactions"][7][1] == ["no error", ["22012", "serializable"]]
    assert len(answers["transactions"][7][4]) == 6
    assert answers["cursors"][7][:4] == [30, 8, 30, 38]
    assert answers["copies"][7][1] == [{"count": 500, "tag": "tag 7"}]
    assert answers["notifications"][7][0] == ["own: 0", "own: 1", "own: 2"]
    assert answers["cancels"][7] == [["57014", "canceling statement due to user request"], [{"n": 7}]]
    assert answers["settings"][7][0] == {"name": "client 7", "zone": "Asia/Tokyo"}
