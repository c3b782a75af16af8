'use strict';
// npm's pg, and its cursor and stream. usage: node pg.js PORT [SCENARIO...]

const { Client, Pool } = require('pg');
const Cursor = require('pg-cursor');
const QueryStream = require('pg-query-stream');
const { SECONDS, failure, run, within } = require('./talk.js');

const server = { host: '127.0.0.1', port: Number(process.argv[2]), user: 'ana', database: 'main' };
const CLIENTS = 30;

async function connected(talk) {
  const client = new Client(server);
  client.on('error', () => {}); // its queries fail too, and tell
  await client.connect();
  try {
    return await talk(client);
  } finally {
    await client.end();
  }
}

// The same names for other texts, in every client.
const named = (number, meet) => connected(async (client) => {
  const heard = [];
  const text = `select ${['$1::int + 1', '$1::text', 'now() > $1::date'][number % 3]} as answer`;
  const value = [41, 'forty', '2026-01-01'][number % 3];
  for (let turn = 0; turn < 4; turn++) {
    heard.push((await client.query({ name: 'one', text, values: [value] })).rows[0].answer);
    const answers = await Promise.all([1, 2, 3].map((n) => // in line at the client
      client.query({
        name: `many ${n}`, text: `select ${n} * $1::int as n, 'of ${number}' as tag`, values: [number],
      })));
    heard.push(...answers.map((answer) => answer.rows[0]));
    await meet();
  }
  heard.push(await failure(client.query({ name: 'fails', text: 'select 1 / $1::int', values: [0] })));
  heard.push(await failure(client.query({ name: 'is wrong', text: 'selekt $1' , values: [0] })));
  heard.push(await failure(client.query({ name: 'one', text: 'select 1', values: [] })));
  heard.push((await client.query({ name: 'one', text, values: [value], rowMode: 'array' })).rows);
  heard.push((await client.query('select 1 as n; select 2 as n')).map((result) => result.rows));
  heard.push((await client.query({ text: 'select $1::int4 as n', values: [15], binary: true })).rows);
  return heard;
});

const transactions = (number, meet) => connected(async (client) => {
  const heard = [];
  await client.query(`create table work.n${number} (n int, tag text)`);
  const insert = { name: 'insert', text: `insert into work.n${number} values ($1, $2)` };
  await meet();
  for (let turn = 0; turn < 4; turn++) {
    await client.query('begin');
    await client.query(insert, [turn, `tag ${number}`]);
    if (turn === 2) {
      heard.push((await failure(client.query(insert, ['no number', ''])))[0]);
      heard.push((await failure(client.query(insert, [1, ''])))[0]);
    }
    await client.query(turn % 2 ? 'rollback' : 'commit');
  }
  heard.push((await client.query(`select n, tag from work.n${number} order by n`)).rows);
  return heard;
});

const cursors = (number, meet) => connected(async (client) => {
  const heard = [];
  const rows = 'select n, $1::text as tag from generate_series(1, 300) n';
  await client.query('begin');
  const cursor = client.query(new Cursor(rows, [`tag ${number}`]));
  heard.push(await cursor.read(2), (await cursor.read(100)).length);
  await cursor.close();
  heard.push((await client.query('select 1 as after')).rows);
  await client.query('commit');
  await meet();
  let sum = 0;
  for await (const row of client.query(new QueryStream(rows, ['x'], { batchSize: 16 }))) { sum += row.n; }
  heard.push(sum);
  return heard;
});

const notifications = (number, meet) => connected((client) => connected(async (teller) => {
  const heard = [];
  await client.query(`listen own_${number}`);
  await client.query('listen everybody');
  const all = within(SECONDS, 'the notifications', (done) => client.on('notification', (message) => {
    heard.push(`${message.channel}: ${message.payload}`);
    if (heard.length === CLIENTS + 4) { done(); }
  }));
  await meet();
  await teller.query('select pg_notify($1, $2)', ['everybody', `from ${number}`]);
  for (let n = 0; n < 4; n++) { await teller.query(`notify own_${number}, '${n}'`); }
  await all;
  return [heard.filter((message) => message.startsWith('own')), heard.sort()];
}));

// pg has no cancel of its own: another connection sends pg_cancel_backend() or, as here, the request
// of the protocol with the key that the server gave.
const cancels = (number, meet) => connected(async (client) => {
  const asleep = failure(client.query("select pg_sleep($1), 'asleep'", [60]));
  let over = false;
  asleep.then(() => { over = true; });
  await meet();
  while (!over) { // nobody tells when the query has arrived
    const canceller = new Client(server);
    await new Promise((resolve) => {
      canceller.connection.once('connect', () => canceller.connection.cancel(client.processID, client.secretKey));
      canceller.connection.once('end', resolve);
      canceller.connection.once('error', resolve);
      canceller.connection.connect(server.port, server.host);
    });
    await Promise.race([asleep, new Promise((resolve) => { setTimeout(resolve, 200); })]);
  }
  return [await asleep, (await client.query('select $1::int as n', [number])).rows];
});

// pg's own pool before weir's.
async function pooled(number, meet) {
  if (number > 0) { return []; }
  const pool = new Pool({ ...server, max: 20, statement_timeout: 30000, application_name: 'pooled' });
  const rest = "$1::int as n, current_setting('application_name') as who";
  const answers = await Promise.all(Array.from({ length: 200 }, (_, n) =>
    pool.query({ name: `of ${n % 7}`, text: `select ${n % 7} as kind, ${rest}`, values: [n] })));
  await pool.end();
  return answers.map((answer) => answer.rows[0]);
}

run(CLIENTS, { named, transactions, cursors, notifications, cancels, pooled });
