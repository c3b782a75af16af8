"""PostgreSQL's JDBC driver: many clients, two servers, and nobody notices. The program is in java/."""
import pathlib

import pytest
from harness.clients import run

pytestmark = pytest.mark.weir_only

PROGRAM = pathlib.Path(__file__).parent / "java" / "Jdbc.java"
DRIVER = "/usr/share/java/postgresql.jar"  # of Debian's libpostgresql-jdbc-java


def jdbc(port):
    """{'scenario number': what that client saw}"""
    return dict(line.split(": ", 1) for line in run(["java", "-cp", DRIVER, PROGRAM, port], patience=150).splitlines())


def test_jdbc_notices_nothing(compare):
    answers = compare(jdbc)
    for name in ("prepared", "binary", "simple"):
        assert answers[f"{name} 5"].startswith("6; 5 of 5; 10; 22012; 1; 2; 7; 6 of 5; 12; 22012; 1; 2; 8")
    for name in ("batches", "rewritten"):
        assert answers[f"{name} 5"] == "updated 0; 700; 23505; 1000; 1001; 1002; 1003; 1004; 705|1004|own"
    assert answers["notifications 5"].startswith("[0, 1, 2]; [from 0, from 1, from 10, ")
    assert answers["copies 5"] == "updated 0; 1000; 22P02; 1000; true; 1000|tag 5"
    assert answers["cancels 5"] == "57014; 5; CALLED BY 5; true; things"
    assert answers["isolation 6"].startswith("serializable|on; 25006; serializable|on; 25006;")
