"""What this weir does about each kind of state: found out once, and told in the closing line.

follows   the client has it on whichever server it gets
pins      the client keeps its server
unseen    weir does not know of it, and says so in its documents: nothing of the kind is done
"""
from harness.wire import Wire, query

from stress.world import LOGIN

# what brings it about, and a query that answers "yes" to whom has it
PROBES = {
    "setting": ("set work_mem to '99kB'", "select current_setting('work_mem') = '99kB'"),
    "set_config": ("select set_config('work_mem', '99kB', false)", "select current_setting('work_mem') = '99kB'"),
    "listen": ("listen probe", "select exists (select from pg_listening_channels())"),
    "temporary": ("create temp table probe ()", "select to_regclass('pg_temp.probe') is not null"),
    "lock": ("select pg_advisory_lock(1)", "select exists (select from pg_locks where locktype = 'advisory' "
                                           "and pid = pg_backend_pid())"),
    "cursor": ("begin; declare probe cursor with hold for select 1; commit",
               "select exists (select from pg_cursors where name = 'probe')"),
    "prepare": ("prepare probe as select 1", "select exists (select from pg_prepared_statements where name = 'probe')"),
}


LONG = 2  # seconds that no answer takes from a server that is free


def login(port, **parameters):
    wire = Wire(port)
    wire.login(LOGIN, **parameters)
    return wire


def way_of(port, sql, has_it):
    """Another client gets the only server there is, unless that is kept for the first."""
    with login(port) as first, login(port) as second:
        first.ask(query(sql))
        second.send(query(has_it))
        if not second.readable(LONG):
            return "pins"
        answer = next(each.cells()[0] for each in second.read_until("Z") if each.kind == "D")
        return "unseen" if answer == "t" else "follows"


def options(port):
    try:
        with login(port, options="-c work_mem=99kB") as client:
            return "follows" if client.value("show work_mem") == "99kB" else "unseen"
    except AssertionError:
        return "unseen"


def reset(port):
    with login(port, application_name="startup") as client:
        client.ask(query("set application_name to 'later'"))
        client.ask(query("reset application_name"))
        return "follows" if client.value("show application_name") == "startup" else "unseen"


def ways(port):
    return {**{name: way_of(port, *probe) for name, probe in PROBES.items()},
            "options": options(port), "reset": reset(port)}
