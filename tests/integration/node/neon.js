'use strict';
// npm's @neondatabase/serverless over HTTP, and pg beside it, which asks the server itself.
// usage: node neon.js HTTP_PORT POSTGRES_PORT SCENARIO...

const { neon, neonConfig } = require('@neondatabase/serverless');
const { Client } = require('pg');
const { SECONDS, within } = require('./talk.js');

const [httpPort, serverPort] = process.argv.slice(2).map(Number);
const names = process.argv.slice(4);
neonConfig.fetchEndpoint = `http://127.0.0.1:${httpPort}/sql`;
const url = (user, password, database) =>
  `postgresql://${encodeURIComponent(user)}:${encodeURIComponent(password)}@db.localtest.me/${encodeURIComponent(database)}`;
const MAIN = url('ana', 'p@ss/w: %ö', 'main');
const sql = neon(MAIN);

const PARTS = ['name', 'dataTypeID', 'tableID', 'columnID', 'dataTypeSize', 'dataTypeModifier', 'format'];
const ERROR_PARTS = ['message', 'severity', 'code', 'detail', 'hint', 'position', 'internalPosition', 'internalQuery',
  'where', 'schema', 'table', 'column', 'dataType', 'constraint', 'file', 'line', 'routine'];
const pick = (from, parts) => Object.fromEntries(parts.map((part) => [part, from[part] ?? null]));

// JSON has no Date, Buffer or NaN.
function plain(value) {
  if (value instanceof Date) return { date: value.getTime() };
  if (Buffer.isBuffer(value) || value instanceof Uint8Array) return { bytes: Buffer.from(value).toString('hex') };
  if (typeof value === 'number' && !Number.isFinite(value)) return { number: String(value) };
  if (Array.isArray(value)) return value.map(plain);
  if (value && typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)]));
  return value;
}
const result = ({ rows, fields, command, rowCount }) =>
  ({ rows: plain(rows), fields: fields.map((field) => pick(field, PARTS)), command, rowCount });
async function heard(promise) {
  try {
    return result(await promise);
  } catch (error) {
    return { error: error.name, ...pick(error, ERROR_PARTS) };
  }
}

// What both are asked, in this order.
const WIDE = `select ${Array.from({ length: 1600 }, (_, n) => `repeat('${n} ', 40) as c${n}`).join(', ')}`;
const QUERIES = [
  ['select 1 as n'],
  ['select 1 as n, 2 as n, null as "none"'],
  ['select'],
  ['select 1 as n where false'],
  ['select $1::int + 1 as n, $2::text as t', [41, 'forty "two"\n\\ ö ']],
  ['select $1::text as t, $2::text as e, $3::bool as b, $4::float8 as f', [null, '', true, 0.1]],
  ['select $1::int[] as a, $2::text[] as t, $3::int[] as m', [[1, null, 3], ['a,b', 'c"d', null, '', 'NULL', 'x\\y'],
    [[1, 2], [3, 4]]]],
  ['select $1::json as j, $2::jsonb as b', [{ a: [1, { b: null }] }, { z: 'ö"' }]],
  ['select $1::timestamptz as d', [new Date(Date.UTC(2026, 10, 21, 17, 5, 0, 123))]],
  ['select $1::int8 as n, $2::numeric as d', ['9223372036854775807', '12345678901234567890.123456789']],
  ["select true as b, 1::int2, 2::int4, 3::int8, 1.5::float4, 1e300::float8, 1.10::numeric, 'c'::char, 'name'::name"],
  ["select 'NaN'::float8 as a, 'Infinity'::float8 as b, '-Infinity'::float4 as c, 'NaN'::numeric as d, '-0'::float8 as e"],
  ["select '\\xdeadbeef00'::bytea as b, ''::bytea as e, array['\\x01'::bytea] as a"],
  ["select '{\"a\": [1, 2]}'::json as j, '[]'::jsonb as b, 'null'::json as n, array['{\"a\":1}'::jsonb] as a"],
  ["select '{1,2,NULL}'::int[] as a, '[2:3]={5,6}'::int[] as b, '{}'::text[] as e, '{{a,\"b c\"},{\"\",NULL}}'::text[] as m"],
  ["select int4range(1, 5) as r, tstzrange(null, now()) is null as n, '{[1,2),[5,6)}'::int4multirange as m"],
  ["select row(1, 'a,b', null) as c, (select w from work.wide w limit 1) as w"],
  ["select date '2026-02-28' as d, time '12:34:56.789' as t, timestamp '2026-01-01 00:00:00' as s, interval '1 year 2 days 03:04:05.678' as i, 'infinity'::timestamp as f, date '0044-03-15 BC' as bc"],
  ["select '127.0.0.1/8'::inet as i, '08:00:2b:01:02:03'::macaddr as m, point(1, 2) as p, B'101' as b, 12.34::money as c"],
  ["select '<a>ö</a>'::xml as x, to_tsvector('simple', 'a b') as v, gen_random_uuid() is null as u, 'pg_class'::regclass as r, 16::oid as o"],
  ['insert into work.things (n, tag) values (1, $1), (2, $2) returning *', ['one', 'two']],
  ['insert into work.things (n, tag) values (3, $1)', ['three']],
  ['update work.things set tag = tag where n < 3'],
  ['delete from work.things where n = 3'],
  ['select * from work.things order by n'],
  ['create table work.made (n int)'],
  ['create table work.filled as select generate_series(1, 5) as n'],
  ['truncate work.made'],
  ['show server_encoding'],
  ['values (1), (2)'],
  ['explain (costs off) select 1'],
  ["do $$ begin raise notice 'unheard'; end $$"],
  ['select n, repeat(chr(960), n) as t from generate_series(1, 2000) n'],
  [WIDE],
  [''],
  ['-- nothing'],
  // what fails
  ['selekt 1'],
  ['select nothing from nowhere'],
  ['select 1 / $1::int', [0]],
  ['select $1::int', ['no number']],
  ['select $1::int, $2::int', [1]],
  ['select 1', [1]],
  ['select 1; select 2'],
  ['insert into work.things (n, tag) values (1, $1)', ['again']],
  ['insert into work.things (n) values (null)'],
  ['insert into work.things (n, tag) values (9, $1)', ['x'.repeat(100)]],
  ['select work.raises($1)', ['told']],
  ['select * from generate_series(1, 1000) n where 1 / (n - 900) is null'],
  ['begin'],
  ['select 1 as still_there'],
];

async function withServer(talk) {
  const client = new Client({ host: '127.0.0.1', port: serverPort, user: 'ana', database: 'main' });
  client.on('error', () => {});
  await client.connect();
  try {
    return await talk(client);
  } finally {
    await client.end();
  }
}

const prepare = (client) => client.query(`
  drop schema if exists work cascade; create schema work;
  create table work.things (n int primary key, tag varchar(20), constraint short check (length(tag) < 50));
  create table work.wide (a int, b text[], c jsonb);
  insert into work.wide values (1, '{a,"b,c"}', '{"k": "v"}');
  create table work.later (n int unique deferrable initially deferred);
  create function work.raises(t text) returns int language plpgsql as $$
    begin
      raise exception 'raised %', t using errcode = 'WE123', detail = 'a detail', hint = 'a hint', schema = 's',
        table = 't', column = 'c', datatype = 'd', constraint = 'k';
    end $$;`);

const SCENARIOS = {
  // Each of QUERIES, as objects and as arrays.
  async same() {
    const both = {};
    for (const arrayMode of [false, true]) {
      const rowMode = arrayMode ? 'array' : undefined;
      const direct = await withServer(async (client) => {
        const answers = [];
        for (const [text, values] of QUERIES) {
          // with a name, even an empty one, pg uses the extended protocol, which takes one statement
          answers.push(await heard(client.query({ text, values: values ?? [], rowMode, queryMode: 'extended' })));
          if (text === 'begin') await client.query('rollback');
        }
        await client.query('truncate work.things; drop table work.made, work.filled'); // objects keep their OIDs
        return answers;
      });
      const answers = [];
      for (const [text, values] of QUERIES)
        answers.push(await heard(sql.query(text, values ?? [], { arrayMode, fullResults: true })));
      await withServer((client) => client.query('truncate work.things; drop table work.made, work.filled'));
      both[arrayMode ? 'arrays' : 'objects'] = QUERIES.map(([text], n) => [text.slice(0, 200), direct[n], answers[n]]);
    }
    return both;
  },

  async templates() {
    const list = [1, 2, 3];
    const bytes = Buffer.from([0, 1, 254, 255]);
    const out = [];
    out.push(await sql`select ${41}::int + 1 as n, ${'a'}::text as t`);
    out.push(await sql`select ${list}::int[] as list, ${null}::text as none, ${true} as b`);
    out.push(await sql`select ${bytes} as bytes`);
    out.push(await sql`select ${sql`1 + ${2}::int`} as nested`);
    out.push(await sql.query('select $1::text as t', ['plain']));
    out.push(await neon(MAIN, { arrayMode: true })`select 1 as a, 2 as a`);
    const full = await neon(MAIN, { fullResults: true })`select 1 as a`;
    out.push(Object.keys(full).sort());
    return plain(out);
  },

  async transactions() {
    const out = {};
    const shows = () => [sql`show transaction_isolation`, sql`show transaction_read_only`, sql`show transaction_deferrable`];
    const flat = (answers) => answers.map((rows) => Object.values(rows[0])[0]);
    out.usual = flat(await sql.transaction(shows()));
    for (const isolationLevel of ['ReadUncommitted', 'ReadCommitted', 'RepeatableRead', 'Serializable'])
      out[isolationLevel] = flat(await sql.transaction(shows(), { isolationLevel }));
    out.all = flat(await sql.transaction(shows(), { isolationLevel: 'Serializable', readOnly: true, deferrable: true }));
    out.no = flat(await sql.transaction(shows(), { readOnly: false, deferrable: false }));
    out.empty = await sql.transaction([]);
    out.one = await sql.transaction([sql`select txid_current_if_assigned() is null as none`]);
    out.modes = await sql.transaction((txn) => [txn`select 1 as a`, txn`select 2 as b`], { arrayMode: true });
    out.full = (await sql.transaction([sql`select 1 as a`, sql`select 'x' as b`], { fullResults: true })).map(result);
    out.written = await sql.transaction([
      sql`insert into work.things (n, tag) values (50, 'kept') returning n`, sql`select count(*)::int from work.things where n = 50`]);
    out.readOnly = await heard(sql.transaction([sql`insert into work.things (n) values (60)`], { readOnly: true }));
    out.failed = await heard(sql.transaction([
      sql`insert into work.things (n, tag) values (70, 'lost')`, sql`select 1 / 0`, sql`insert into work.things (n) values (71)`]));
    out.deferred = await heard(sql.transaction([sql`insert into work.later values (1), (1)`, sql`select 1`]));
    out.commits = await heard(sql.transaction([sql`insert into work.things (n) values (80)`, sql`commit`, sql`select 1`]));
    out.kept = (await sql`select n from work.things where n >= 50 order by n`).map((row) => row.n);
    out.later = await sql`select count(*)::int as n from work.later`;
    return plain(out);
  },

  async refused() {
    const out = {};
    const ask = (address) => heard(neon(address)`select current_user as who`);
    out.right = plain(await neon(MAIN)`select current_user as who, current_database() as db`);
    out.wrong = await ask(url('ana', 'wrong', 'main'));
    out.nobody = await ask(url('nobody', 'p@ss', 'main'));
    out.nowhere = await ask(url('ana', 'p@ss/w: %ö', 'no"where'));
    return out;
  },

  // Of a proxy with small limits.
  async limits() {
    const words = (promise) => promise.then(() => 'no error', (error) => `${error.name}: ${error.message}`);
    return {
      answer: await words(sql`select repeat('x', 20000) as t`),
      request: await words(sql`select ${'x'.repeat(20000)}::text as t`),
      after: await sql`select 1 as n`,
    };
  },

  // Many at a time, more than there are servers.
  async crowd() {
    const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => (n % 10 === 9
      ? heard(sql`select 1 / ${0}::int`).then((error) => error.code)
      : sql`select ${n}::int as n, pg_sleep(0.001)::text as s`.then((rows) => rows[0].n))));
    return answers;
  },

  async aborted() {
    const controller = new AbortController();
    const slow = neon(MAIN, { fetchOptions: { signal: controller.signal } })`select pg_sleep(600), 'to be aborted'`;
    slow.catch(() => {});
    const running = () => withServer(async (client) =>
      (await client.query("select count(*)::int as n from pg_stat_activity where query like '%to be aborted%' "
        + "and state = 'active' and pid <> pg_backend_pid()")).rows[0].n);
    const becomes = async (count) => { while (await running() !== count); return count; };
    await becomes(1);
    controller.abort();
    return [await slow.catch((error) => error.name), await becomes(0), await sql`select 1 as n`];
  },
};

(async () => {
  const answers = {};
  await withServer(prepare);
  for (const name of names)
    answers[name] = await within(2 * SECONDS, name, (resolve, reject) => SCENARIOS[name]().then(resolve, reject));
  process.stdout.write(`${JSON.stringify(answers)}\n`, () => process.exit());
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
