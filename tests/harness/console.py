"""The admin console's tables, as ../shared/reference has PgBouncer's: names and types in wire order.

    console.of(weir, "ana")                       a psycopg connection to it, in autocommit
    console.rows(connection, "show pools")        a dict for each row
"""
import psycopg
from psycopg.rows import dict_row

OIDS = {"t": 25, "i": 23, "q": 20, "N": 1700, "b": 17}
T, I, Q, N, B = OIDS.values()


def columns(text):
    """ "name t, value N" """
    pairs = (part.rsplit(" ", 1) for part in " ".join(text.split()).split(", "))
    return [(name, OIDS[kind]) for name, kind in pairs]


def numbers(text):
    return columns("database t, " + ", ".join(f"{name} N" for name in text.replace(",", " ").split()))


SOCKET = columns("""type t, user t, database t, replication t, state t, addr t, port i, local_addr t, local_port i,
    connect_time t, request_time t, wait i, wait_us i, close_needed i, ptr t, link t, remote_pid i, tls t,
    application_name t, prepared_statements i, id i""")
SOCKET_DEBUG = SOCKET + columns("""recv_pos i, pkt_pos i, pkt_remain i, send_pos i, send_remain i, pkt_avail i,
    send_avail i""")
TOTALS = """server_assignment_count, xact_count, query_count, bytes_received, bytes_sent, xact_time, query_time,
    wait_time"""

# PgBouncer's; of FDS only who may not see it is told anything yet.
TABLES = {
    "STATS": numbers("""total_server_assignment_count, total_xact_count, total_query_count, total_received,
        total_sent, total_xact_time, total_query_time, total_wait_time, total_client_parse_count,
        total_server_parse_count, total_bind_count, total_client_login_count, avg_server_assignment_count,
        avg_xact_count, avg_query_count, avg_recv, avg_sent, avg_xact_time, avg_query_time, avg_wait_time,
        avg_client_parse_count, avg_server_parse_count, avg_bind_count, avg_client_login_count"""),
    "STATS_TOTALS": numbers(TOTALS + ", client_parse_count, server_parse_count, bind_count, client_login_count"),
    "STATS_AVERAGES": numbers(TOTALS + """, avg_client_parse_count, avg_server_parse_count, avg_bind_count,
        avg_client_login_count"""),
    "TOTALS": columns("name t, value N"),
    "POOLS": columns("""database t, user t, cl_active i, cl_waiting i, cl_active_cancel_req i,
        cl_waiting_cancel_req i, sv_active i, sv_active_cancel i, sv_being_canceled i, sv_idle i, sv_used i,
        sv_tested i, sv_login i, maxwait i, maxwait_us i, pool_mode t, load_balance_hosts t"""),
    "PEER_POOLS": columns("""peer_id i, cl_active_cancel_req i, cl_waiting_cancel_req i, sv_active_cancel i,
        sv_login i"""),
    "CLIENTS": SOCKET,
    "SERVERS": SOCKET,
    "SOCKETS": SOCKET_DEBUG,
    "ACTIVE_SOCKETS": SOCKET_DEBUG,
    "DATABASES": columns("""name t, host t, port i, database t, force_user t, pool_size i, min_pool_size i,
        reserve_pool_size i, server_lifetime i, pool_mode t, load_balance_hosts t, max_connections i,
        current_connections i, max_client_connections i, current_client_connections i, paused i, disabled i"""),
    "USERS": columns("""name t, pool_size t, reserve_pool_size t, pool_mode t, max_user_connections i,
        current_connections i, max_user_client_connections i, current_client_connections i"""),
    "PEERS": columns("peer_id i, host t, port i, pool_size i"),
    "LISTS": columns("list t, items i"),
    "CONFIG": columns("key t, value t, default t, changeable t"),
    "MEM": columns("name t, size i, used i, free i, memtotal i"),
    "STATE": columns("key t, value t"),
    "DNS_HOSTS": columns("hostname t, ttl q, addrs t"),
    "DNS_ZONES": columns("zonename t, serial q, count i"),
    "VERSION": columns("version t"),
}

OWN_TABLES = {
    "REDIS_POOLS": columns("""upstream t, user t, database i, protocol i, cl_active i, cl_waiting i, sv_shared i,
        sv_subscribing i, sv_dedicated i, sv_idle i, sv_cleaning i, sv_login i, owed i, maxwait i, maxwait_us i,
        commands N, reads N, reads_per_command t"""),
    "REDIS_CLIENTS": columns("""id q, upstream t, user t, addr t, port i, state t, database i, protocol i, name t,
        owed i, subscriptions i, own_line t, connect_time t"""),
}

STATS_ONLY_ERRORS = {"42501"}  # what who is in stats_users alone hears of a command that changes something


def of(pooler, user="ana", dbname="pgbouncer", **words):
    return psycopg.connect(pooler.dsn(user=user, dbname=dbname, **words), autocommit=True, prepare_threshold=None,
                           connect_timeout=20)


def rows(connection, sql):
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(sql).fetchall()


def row(connection, sql, **wanted):
    """The only one of those rows."""
    found = [each for each in rows(connection, sql) if wanted.items() <= each.items()]
    assert len(found) == 1, f"{sql}: {len(found)} rows are {wanted}: {rows(connection, sql)}"
    return found[0]
