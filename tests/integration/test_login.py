"""Who gets in, and what those learn who do not."""
import struct

import psycopg
import pytest
from harness.pooler import md5_secret, scram_secret
from harness.postgres import PASSWORD
from harness.wire import GSSENC, PROTOCOL_3_0, PROTOCOL_3_2, SSL, packet, query, startup

SECRETS = {"plain": PASSWORD, "md5": md5_secret("ana", PASSWORD), "scram": scram_secret(PASSWORD)}
REFUSED = "(password|SASL) authentication failed"
WORKS = [("plain", "plain"), ("plain", "md5"), ("plain", "scram"),
         ("md5", "plain"), ("md5", "md5"), ("md5", "scram"),
         ("scram-sha-256", "plain"), ("scram-sha-256", "scram")]


def guarded(pooler, postgres, auth_type, secret):
    """One whose server trusts, so that nothing but its own check decides."""
    return pooler({"main": f"host=127.0.0.1 port={postgres.port} dbname=main user=bob"}, auth_type=auth_type,
                  secrets={"ana": SECRETS[secret], "bob": ""})


@pytest.mark.parametrize("auth_type, secret", WORKS)
def test_the_right_password_opens(pooler, postgres, connect, auth_type, secret):
    weir = guarded(pooler, postgres, auth_type, secret)
    assert connect(weir, password=PASSWORD).execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize("auth_type, secret", WORKS)
@pytest.mark.parametrize("password", ["wrong", PASSWORD + " ", ""])
def test_a_wrong_password_does_not(pooler, postgres, connect, auth_type, secret, password):
    weir = guarded(pooler, postgres, auth_type, secret)
    with pytest.raises(psycopg.OperationalError, match=f"{REFUSED}|no password supplied|empty password"):
        connect(weir, password=password)


def test_an_md5_secret_is_no_use_for_scram(pooler, postgres, connect):
    weir = guarded(pooler, postgres, "scram-sha-256", "md5")
    with pytest.raises(psycopg.OperationalError, match=REFUSED):
        connect(weir, password=PASSWORD)


@pytest.mark.parametrize("auth_type", ["plain", "md5", "scram-sha-256"])
def test_an_unknown_user_is_refused_like_a_wrong_password(pooler, postgres, connect, auth_type):
    weir = guarded(pooler, postgres, auth_type, "plain")
    with pytest.raises(psycopg.OperationalError, match=REFUSED):
        connect(weir, user="nobody", password=PASSWORD)


@pytest.mark.weir_only
@pytest.mark.parametrize("auth_type", ["plain", "md5", "scram-sha-256"])
def test_the_exchange_does_not_tell_an_unknown_user_from_a_known_one(pooler, postgres, wire, auth_type):
    weir = guarded(pooler, postgres, auth_type, "plain")
    asked = [wire(weir).send(startup(user=user, database="main")).read() for user in ("ana", "nobody")]
    assert asked[0].kind == asked[1].kind == "R"
    assert asked[0].payload[:4] == asked[1].payload[:4]


@pytest.mark.weir_only
def test_who_has_not_authenticated_does_not_learn_which_databases_exist(pooler, postgres, wire):
    weir = guarded(pooler, postgres, "scram-sha-256", "plain")
    client = wire(weir).send(startup(user="ana", database="nowhere"))
    assert client.read().kind == "R"


def test_an_unknown_database_is_an_error(weir, wire):
    error = wire(weir).send(startup(user="ana", database="nowhere")).error()
    assert error["S"] == "FATAL" and "nowhere" in error["M"] + error.get("D", "")


@pytest.mark.weir_only
def test_an_unknown_database_has_its_own_sqlstate(weir, wire):
    assert wire(weir).send(startup(user="ana", database="nowhere")).error()["C"] == "3D000"


def test_a_user_whom_the_list_does_not_know_is_not_trusted(weir, wire):
    assert wire(weir).send(startup(user="nobody", database="main")).error()["S"] == "FATAL"


def test_a_database_without_a_name_is_the_user_s(pooler, postgres, wire):
    weir = pooler({"ana": f"host=127.0.0.1 port={postgres.port} dbname=main"})
    client = wire(weir).send(startup(user="ana"))
    client.read_until("Z")
    assert client.value("select current_database()") == "main"


@pytest.mark.parametrize("user", ["scram_user", "md5_user", "plain_user"])
def test_the_password_in_the_list_opens_the_server_too(pooler, connect, user):
    weir = pooler(secrets={user: PASSWORD})
    assert connect(weir, user=user).execute("select current_user").fetchone() == (user,)


def test_a_password_of_the_database_entry_opens_the_server(pooler, postgres, connect):
    quoted = PASSWORD.replace("'", "''")
    weir = pooler({"main": f"host=127.0.0.1 port={postgres.port} dbname=main user=scram_user password='{quoted}'"})
    assert connect(weir).execute("select current_user").fetchone() == ("scram_user",)


def test_the_server_s_refusal_is_passed_on_in_its_own_words(pooler, connect):
    weir = pooler(secrets={"scram_user": "wrong"})
    with pytest.raises(psycopg.OperationalError, match='password authentication failed for user "scram_user"'):
        connect(weir, user="scram_user").execute("select 1")


def test_tls_and_gss_are_declined_and_login_goes_on(weir, wire):
    client = wire(weir)
    for code in (GSSENC, SSL):
        assert client.send(packet(code)).take(1) == b"N"
    client.login()
    assert client.value("select 1") == "1"


@pytest.mark.weir_only
@pytest.mark.parametrize("code", [SSL, GSSENC])
def test_bytes_sent_ahead_of_the_answer_to_a_tls_request_are_an_attack(weir, wire, code):
    client = wire(weir).send(packet(code) + startup(user="ana", database="main") + query("select 1"))
    assert client.is_closed()
    assert "ana" not in [line for line in weir.said().splitlines() if "login" in line]


@pytest.mark.weir_only
@pytest.mark.parametrize("parameters, answers", [({}, 0), ({"_pq_.greased": "yes"}, 1)])
@pytest.mark.parametrize("code, negotiated", [(PROTOCOL_3_0, 0), (PROTOCOL_3_2, 0), (PROTOCOL_3_0 | 9999, 1)])
def test_the_version_is_negotiated_exactly_once_when_it_must_be(weir, wire, code, negotiated, parameters, answers):
    client = wire(weir).send(startup(code, user="ana", database="main", **parameters))
    seen = [each.kind for each in client.read_until("Z")]
    assert seen.count("v") == max(negotiated, answers)
    assert client.value("select 1") == "1"


def test_an_older_protocol_is_refused(weir, wire):
    client = wire(weir).send(startup(2 << 16, user="ana", database="main"))
    assert client.is_closed()


def test_the_welcome_says_what_the_server_is_like(postgres, weir, wire):
    client = wire(weir, "ana")
    assert client.parameters["server_version"].split()[0] == postgres.sql("show server_version").split()[0]
    assert client.parameters["standard_conforming_strings"] == "on"
    assert client.parameters["client_encoding"] == "UTF8"
    assert len(client.key) == 8


def test_each_client_has_its_own_cancel_key(weir, wire):
    keys = [wire(weir, "ana").key for _ in range(20)]
    assert len(set(keys)) == 20
    assert len({struct.unpack("!ii", key)[1] for key in keys}) == 20
