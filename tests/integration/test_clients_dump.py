"""pg_dump and pg_restore through the pool: a copy of a copy is the original."""
import concurrent.futures
import re
import threading

import psycopg
import pytest
from harness.clients import dsn, run

pytestmark = pytest.mark.weir_only

# Something of each kind that pg_dump writes down.
ORIGINAL = r'''
create schema shop;
create schema "Odd ""name""";
create type shop.state as enum ('new', 'paid', 'it''s sent');
create type shop.pair as (n int, tag text);
create domain shop.price as numeric(10, 2) check (value >= 0);
create sequence shop.numbers start 1000 increment 7;
create table shop.orders (id bigint primary key default nextval('shop.numbers'), placed timestamptz not null,
    state shop.state default 'new', total shop.price, raw bytea, words text[], more jsonb, two shop.pair,
    twice numeric generated always as (total * 2) stored, span tstzrange, part float8);
create table "Odd ""name"""."a table" (id int generated always as identity, "select" text collate "C");
create table shop.log (day date not null, n int, tag text) partition by range (day);
create table shop.log_2026 partition of shop.log for values from ('2026-01-01') to ('2027-01-01');
create table shop.log_else partition of shop.log default;
create table shop.items (order_id bigint references shop.orders on delete cascade, n int, primary key (order_id, n));
insert into shop.orders (placed, state, total, raw, words, more, two, span, part)
    select timestamptz '2026-11-21 12:00:00+00' + n * interval '1 hour',
        (array['new', 'paid', 'it''s sent'])[1 + n % 3]::shop.state, n * 1.25, decode(md5(n::text), 'hex'),
        array['tab	here', 'back\slash', null, n::text],
        jsonb_build_object('n', n), (n, E'line\nbreak')::shop.pair, tstzrange('2026-01-01+00', null), n / 3.0::float8
    from generate_series(1, 3000) n;
insert into shop.items select id, n from shop.orders, generate_series(1, 3) n;
insert into "Odd ""name"""."a table" ("select") select 'ü' || n from generate_series(1, 50) n;
insert into shop.log select date '2025-12-01' + n, n, repeat('x', n) from generate_series(0, 600, 7) n;
create index on shop.orders using gin (more);
create unique index "an index" on "Odd ""name"""."a table" (lower("select"));
create view shop.paid as select id, total from shop.orders where state = 'paid';
create materialized view shop.sums as select state, sum(total) from shop.orders group by state;
create function shop.touch() returns trigger language plpgsql as
    $$ begin new.part := coalesce(new.part, 0); return new; end $$;
create trigger touch before insert on shop.orders for each row execute function shop.touch();
create function public.total(shop.state) returns numeric language sql stable as
    'select sum(total) from shop.orders where state = $1';
alter table shop.orders enable row level security;
create policy everybody on shop.orders using (true);
create rule silent as on delete to shop.paid do instead nothing;
grant select on shop.orders to bob;
comment on table shop.orders is 'it''s all here';
select setval('shop.numbers', 99999);
select lo_from_bytea(424242, '\x00ff00'::bytea);
create statistics shop.together on state, total from shop.orders;
'''


def without_keys(dump):
    """pg_dump's plain text but for the random words that fence it in."""
    return re.sub(r"(?m)^\\(un)?restrict .*$", "", dump)


@pytest.fixture(scope="module")
def original(postgres):
    postgres.sql("create database original", dbname="postgres")
    postgres.sql(ORIGINAL, dbname="original")
    yield
    postgres.sql("drop database original", dbname="postgres")


@pytest.fixture
def copy(postgres):
    postgres.sql("create database copy", dbname="postgres")
    yield
    postgres.sql("drop database copy with (force)", dbname="postgres")


@pytest.fixture
def everywhere(postgres, pooler):
    """Any database by the name that it has. A dump by two jobs has three transactions open at a time."""
    return pooler({"*": f"host=127.0.0.1 port={postgres.port}"}, default_pool_size=3, query_wait_timeout=30)


def dump(postgres, port, dbname, *arguments):
    return run([postgres.bin / "pg_dump", *arguments, dsn(port, dbname=dbname)])


def assert_copied(postgres):
    copied, meant = (dump(postgres, postgres.port, dbname) for dbname in ("copy", "original"))
    assert without_keys(copied) == without_keys(meant)


def test_pg_dump_says_the_same(postgres, everywhere, original):
    """All the while others have their own search_path, which pg_dump empties for itself."""
    over = threading.Event()

    def live():
        seen = set()
        with psycopg.connect(dsn(everywhere.port, dbname="original"), autocommit=True, prepare_threshold=None) as other:
            while not over.is_set():
                seen.add(other.execute("select current_setting('search_path'), total('paid') > 0").fetchone())
        return seen

    with concurrent.futures.ThreadPoolExecutor() as threads:
        other = threads.submit(live)
        try:
            for arguments in ([], ["--inserts", "--schema=shop"], ["--serializable-deferrable", "--column-inserts"],
                              ["--schema-only", "--create", "--clean", "--if-exists"]):
                assert without_keys(dump(postgres, everywhere.port, "original", *arguments)) == \
                    without_keys(dump(postgres, postgres.port, "original", *arguments))
        finally:
            over.set()
        assert other.result() == {('"$user", public', True)}


@pytest.mark.parametrize("jobs", [[], ["-j", "2"]], ids=["one job", "two jobs"])
@pytest.mark.parametrize("form", ["custom", "directory"])
def test_pg_restore_makes_a_copy(postgres, everywhere, original, copy, folder, form, jobs):
    archive = folder / "archive"
    dump(postgres, everywhere.port, "original", "-F", form, "-f", archive, *(jobs if form == "directory" else []))
    target = ["-d", dsn(everywhere.port, dbname="copy"), *(jobs or ["--single-transaction"])]
    run([postgres.bin / "pg_restore", "--exit-on-error", *target, archive])
    assert_copied(postgres)


def test_psql_restores_a_plain_dump(postgres, everywhere, original, copy):
    text = dump(postgres, everywhere.port, "original")
    target = dsn(everywhere.port, dbname="copy")
    run([postgres.bin / "psql", "-Xq", "-o", "/dev/null", "-v", "ON_ERROR_STOP=1", target], text)
    assert_copied(postgres)


def test_a_restored_database_may_be_restored_again(postgres, everywhere, original, copy, folder):
    """With --clean, and while another client uses it."""
    archive, target = folder / "archive", dsn(everywhere.port, dbname="copy")
    dump(postgres, everywhere.port, "original", "-F", "custom", "-f", archive)
    for clean in ([], ["--clean", "--if-exists"]):
        with psycopg.connect(target, prepare_threshold=None, autocommit=True) as other:
            run([postgres.bin / "pg_restore", "--exit-on-error", *clean, "-d", target, archive])
            assert other.execute("select count(*) from shop.orders").fetchone() == (3000,)
            assert other.execute("show search_path").fetchone() == ('"$user", public',)
    assert_copied(postgres)


def test_pg_dumpall_says_the_same(postgres, everywhere, original):
    """Of what all databases share; it asks for the database "postgres"."""
    answers = [run([postgres.bin / "pg_dumpall", "--globals-only", "-d", dsn(port, dbname="postgres")])
               for port in (postgres.port, everywhere.port)]
    assert without_keys(answers[0]) == without_keys(answers[1])
