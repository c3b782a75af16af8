'use strict';
// npm's ioredis. usage: RESP=3 node ioredis.js PORT [SCENARIO...]

const Redis = require('ioredis');
const { SECONDS, failure, run, within } = require('./talk.js');

const server = {
  host: '127.0.0.1', port: Number(process.argv[2]), protocol: Number(process.env.RESP || 2), maxRetriesPerRequest: 2,
};
const CLIENTS = 30;

async function connected(talk, options = {}) {
  const client = new Redis({ ...server, ...options });
  client.on('error', () => {}); // its requests fail too, and tell
  try {
    return await talk(client);
  } finally {
    client.disconnect();
  }
}

const text = async (promise) => (await failure(promise))[1]; // ioredis's errors have no code

const values = (number, meet) => connected(async (client) => {
  const heard = [await client.set(`s${number}`, `tag ${number}`)];
  await meet();
  for (let turn = 0; turn < 5; turn++) {
    heard.push(...await Promise.all([ // in line at the client
      client.get(`s${number}`), client.incr(`n${number}`), client.get(`none${number}`),
      client.hset(`h${number}`, { turn, who: number }), client.hgetall(`h${number}`),
      client.rpush(`l${number}`, turn, `of ${number}`), client.lrange(`l${number}`, 0, -1),
      client.zadd(`z${number}`, turn + 0.5, `m${turn}`), client.zrange(`z${number}`, 0, -1, 'WITHSCORES'),
      client.sadd(`t${number}`, turn), client.smembers(`t${number}`),
    ]));
    await meet();
  }
  const large = Buffer.alloc(300000, number);
  await client.set(`b${number}`, large);
  heard.push((await client.getBuffer(`b${number}`)).equals(large));
  heard.push(await text(client.incr(`s${number}`)), await text(client.call('nosuch', number)));
  heard.push(await client.xadd(`x${number}`, '1-1', 'f', number), await client.xrange(`x${number}`, '-', '+'));
  return heard;
});

const pipelines = (number, meet) => connected(async (client) => {
  await meet();
  const pipeline = client.pipeline();
  for (let n = 0; n < 200; n++) { pipeline.set(`p${number}:${n}`, `${n} of ${number}`).get(`p${number}:${n}`); }
  pipeline.incr(`p${number}:0`).del(`p${number}:1`);
  return (await pipeline.exec()).map(([error, value]) => (error ? error.message : value));
});

const automatic = (number, meet) => connected(async (client) => {
  await meet();
  const answers = await Promise.all(Array.from({ length: 100 }, (_, n) =>
    client.set(`a${number}:${n}`, n).then(() => client.get(`a${number}:${n}`))));
  return answers;
}, { enableAutoPipelining: true, db: number % 4 });

const transactions = (number, meet) => connected(async (client) => {
  const heard = [];
  for (let turn = 0; turn < 4; turn++) {
    await meet();
    heard.push(await client.multi().incr(`n${number}`).rpush(`l${number}`, turn).get(`n${number}`).lrange(`l${number}`, 0, -1)
      .exec());
    heard.push(await text(client.multi().set(`s${number}`, 'x').incr(`s${number}`, 1, 2).exec()));
    await client.watch(`w${number}`);
    if (turn % 2) { await connected((other) => other.set(`w${number}`, turn)); }
    heard.push(await client.multi({ pipeline: false }), await client.set(`w${number}`, 'mine'), await client.exec());
    heard.push(await client.get(`w${number}`));
  }
  return heard;
});

const messages = (number, meet) => connected((client) => connected(async (publisher) => {
  const heard = [];
  let done;
  const all = within(SECONDS, 'the messages', (resolve) => { done = resolve; });
  const hear = (kind) => (...words) => {
    heard.push(`${kind}: ${words.map(String).join(' ')}`);
    if (heard.length === 2 * CLIENTS + 6) { done(); }
  };
  client.on('message', hear('message'));
  client.on('pmessage', hear('pmessage'));
  const counts = [await client.subscribe(`own_${number}_`, 'everybody'), await client.psubscribe(`own_${number}_*`, 'every*')];
  await meet();
  await publisher.publish('everybody', `from ${number}`);
  for (let n = 0; n < 3; n++) { await publisher.publish(`own_${number}_`, n); }
  await all;
  await meet();
  counts.push(await client.unsubscribe(`own_${number}_`), await client.punsubscribe(`own_${number}_*`, 'every*'),
    await client.unsubscribe('everybody'));
  counts.push(await client.set(`after${number}`, number), await client.get(`after${number}`));
  return [counts, heard.filter((line) => line.includes('own')).sort(), heard.sort()];
}));

const scripts = (number, meet) => connected(async (client) => {
  client.defineCommand('twice', { numberOfKeys: 1, lua: `return {KEYS[1], ARGV[1] * 2, 'of ${number % 3}'}` });
  await meet();
  const heard = [await client.twice(`k${number}`, number), await client.twice(`k${number}`, 2)];
  heard.push(await text(client.eval('return redis.call("nosuch")', 0)));
  heard.push(await client.eval('return {1, false, {2, ARGV[1]}}', 0, number));
  return heard;
});

const blocking = (number, meet) => connected((waiter) => connected(async (client) => {
  await meet();
  const waits = [waiter.blpop(`q${number}`, 10), waiter.brpop(`q${number}`, 10), waiter.get(`none${number}`),
    waiter.blpop(`never${number}`, 0.05), waiter.xread('BLOCK', 10000, 'STREAMS', `x${number}`, 0)];
  await client.rpush(`q${number}`, `one of ${number}`);
  await meet();
  await client.rpush(`q${number}`, 'two');
  await client.xadd(`x${number}`, '5-1', 'tag', number);
  return Promise.all(waits);
}));

const scans = (number, meet) => connected(async (client) => {
  const keys = Array.from({ length: 300 }, (_, n) => `scan${number}:${n}`);
  await client.mset(keys.flatMap((key) => [key, 1]));
  await meet();
  const found = new Set();
  for await (const batch of client.scanStream({ match: `scan${number}:*`, count: 1000 })) {
    batch.forEach((key) => found.add(key));
  }
  return [found.size, await client.unlink(keys)];
});

const settings = (number, meet) => connected(async (client) => {
  await client.set('same', `of ${number % 5}`);
  await meet();
  const heard = [await client.client('GETNAME'), await client.select(15), await client.set(`sel${number}`, 1)];
  heard.push(await client.select(number % 5), await client.get('same'), await client.get(`sel${number}`));
  return heard;
}, { db: number % 5, connectionName: `client-${number}` });

run(CLIENTS, { values, pipelines, automatic, transactions, messages, scripts, blocking, scans, settings });
