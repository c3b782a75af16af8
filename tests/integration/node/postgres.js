'use strict';
// npm's postgres, which prepares what it sends. usage: node postgres.js PORT [SCENARIO...]

const postgres = require('postgres');
const { SECONDS, failure, run, within } = require('./talk.js');

const CLIENTS = 12;
const open = (words) => postgres({
  host: '127.0.0.1', port: Number(process.argv[2]), user: 'ana', database: 'main', max: 3, onnotice: () => {}, ...words,
});

async function connected(talk, words) {
  const sql = open(words);
  try {
    return await talk(sql);
  } finally {
    await sql.end({ timeout: 10 });
  }
}

const queries = (number, meet) => connected(async (sql) => {
  const heard = [];
  for (let turn = 0; turn < 3; turn++) {
    const answers = await Promise.all([ // pipelined on a connection
      sql`select ${number}::int + 1 as n`, sql`select ${`tag ${number}`} as tag`,
      sql`select ${[1, 2, number]}::int[] as list`,
      sql`select ${sql.json({ number })}::jsonb as object`, sql`select ${new Date(0)}::timestamptz as moment`,
      sql`select n from generate_series(1, ${number % 4}::int) n`, sql`select ${Buffer.from([0, 255])}::bytea as raw`,
    ]);
    heard.push(...answers.map((rows) => [...rows]));
    await meet();
  }
  heard.push(await failure(sql`select 1 / ${0}::int`), await failure(sql`selekt ${1}`));
  heard.push((await sql`select ${1}::int as one`.values()).map((row) => [...row]));
  heard.push((await sql.unsafe('select 1 as n; select 2 as n')).map((rows) => [...rows]));
  heard.push((await sql`select ${1}::int as n, ${'x'} as tag`.describe()).string);
  return heard;
});

const transactions = (number, meet) => connected(async (sql) => {
  const table = sql(`work.p${number}`);
  await sql`create table ${table} (n int, tag text)`;
  await meet();
  const heard = [];
  for (let turn = 0; turn < 4; turn++) {
    heard.push(await failure(sql.begin(turn % 2 ? 'isolation level serializable' : 'read write', async (tx) => {
      await tx`insert into ${table} ${tx([{ n: turn, tag: `tag ${number}` }, { n: turn + 10, tag: 'too' }])}`;
      const inner = await failure(tx.savepoint((point) => point`select 1 / ${0}::int`));
      const [{ isolation }] = await tx`select current_setting('transaction_isolation') as isolation`;
      if (turn === 2) { throw new Error('on purpose'); }
      return [inner[0], isolation];
    })));
  }
  heard.push([...await sql`select * from ${table} order by n`]);
  return heard;
});

const cursors = (number, meet) => connected(async (sql) => {
  const heard = [];
  for await (const rows of sql`select n from generate_series(1, 100) n where n > ${number}`.cursor(30)) {
    heard.push(rows.length, rows[0].n);
  }
  await meet();
  await sql`select n from generate_series(1, 1000) n`.cursor(10, (rows) => {
    heard.push(rows[0].n);
    return sql.CLOSE;
  });
  await sql`select n from generate_series(1, 5) n`.forEach((row) => { heard.push(row.n); });
  return heard;
});

const copies = (number, meet) => connected(async (sql) => {
  await sql`create table ${sql(`work.q${number}`)} (n int, tag text)`;
  await meet();
  const into = await sql`copy ${sql(`work.q${number}`)} from stdin`.writable();
  await new Promise((resolve, reject) => {
    into.on('finish', resolve).on('error', reject);
    for (let n = 0; n < 500; n++) { into.write(`${n}\ttag ${number}\n`); }
    into.end();
  });
  let size = 0;
  for await (const piece of await sql`copy ${sql(`work.q${number}`)} to stdout`.readable()) { size += piece.length; }
  return [size, [...await sql`select count(*)::int, max(tag) as tag from ${sql(`work.q${number}`)}`]];
});

const notifications = (number, meet) => connected(async (sql) => {
  const heard = [];
  let done;
  const all = within(SECONDS, 'the notifications', (resolve) => { done = resolve; });
  const hear = (channel) => (payload) => {
    heard.push(`${channel}: ${payload}`);
    if (heard.length === CLIENTS + 3) { done(); }
  };
  const own = await sql.listen(`own_${number}`, hear('own'));
  await sql.listen('everybody', hear('everybody'));
  await meet();
  await sql.notify('everybody', `from ${number}`);
  for (let n = 0; n < 3; n++) { await sql.notify(`own_${number}`, `${n}`); }
  await all;
  await own.unlisten();
  return [heard.filter((message) => message.startsWith('own')), heard.sort()];
});

const cancels = (number, meet) => connected(async (sql) => {
  const query = sql`select pg_sleep(60), ${number}::int`;
  const asleep = failure(query.execute());
  let over = false;
  asleep.then(() => { over = true; });
  await meet();
  while (!over) {
    await Promise.race([asleep, new Promise((resolve) => { setTimeout(resolve, 200); })]);
    if (!over) { query.cancel(); }
  }
  return [await asleep, [...await sql`select ${number}::int as n`]];
}, { max: 1 });

// Reserved, and with what it may be told at its start.
const settings = (number, meet) => connected(async (sql) => {
  const reserved = await sql.reserve();
  const heard = [...await reserved`
    select current_setting('application_name') as name, current_setting('TimeZone') as zone`];
  reserved.release();
  await meet();
  heard.push([...await sql`select current_setting('TimeZone') as zone, ${number}::int as n`]);
  return heard;
}, {
  connection: { application_name: `client ${number}`, TimeZone: number % 2 ? 'Asia/Tokyo' : 'America/Lima' }, max: 2,
});

run(CLIENTS, { queries, transactions, cursors, copies, notifications, cancels, settings });
