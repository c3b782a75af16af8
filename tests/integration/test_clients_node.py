"""npm's pg and postgres: many clients, two servers, and nobody notices. The programs are in node/."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest
from harness.clients import run

pytestmark = pytest.mark.weir_only

PROGRAMS = pathlib.Path(__file__).parent / "node"


@pytest.fixture(scope="module")
def modules():
    """The packages that node/package-lock.json names, installed by npm for this run only."""
    with tempfile.TemporaryDirectory(prefix="weir-node-") as folder:
        for file in ("package.json", "package-lock.json"):
            shutil.copy(PROGRAMS / file, folder)
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline",
                               "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"], cwd=folder, text=True,
                              capture_output=True, timeout=180, check=False, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            pytest.fail(f"npm could not install what these tests need:\n{done.stdout}{done.stderr}", pytrace=False)
        yield os.path.join(folder, "node_modules")


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
