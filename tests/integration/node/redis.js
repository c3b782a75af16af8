'use strict';
// npm's redis. usage: RESP=3 node redis.js PORT [SCENARIO...]

const { createClient, createClientPool, WatchError } = require('redis');
const { SECONDS, failure, run, within } = require('./talk.js');

const RESP = Number(process.env.RESP || 2);
const server = { url: `redis://127.0.0.1:${process.argv[2]}`, RESP };
const CLIENTS = 30;

async function connected(talk, options = {}) {
  const client = createClient({ ...server, ...options });
  client.on('error', () => {}); // its requests fail too, and tell
  await client.connect();
  try {
    return await talk(client);
  } finally {
    client.destroy();
  }
}

const text = async (promise) => (await failure(promise))[1];

const values = (number, meet) => connected(async (client) => {
  const heard = [await client.set(`s${number}`, `tag ${number}`)];
  await meet();
  for (let turn = 0; turn < 5; turn++) {
    heard.push(...await Promise.all([
      client.get(`s${number}`), client.incr(`n${number}`), client.get(`none${number}`),
      client.hSet(`h${number}`, { turn, who: number }), client.hGetAll(`h${number}`),
      client.rPush(`l${number}`, [`${turn}`, `of ${number}`]), client.lRange(`l${number}`, 0, -1),
      client.zAdd(`z${number}`, { score: turn + 0.5, value: `m${turn}` }), client.zRangeWithScores(`z${number}`, 0, -1),
      client.sAdd(`t${number}`, `${turn}`), client.sMembers(`t${number}`), client.zScore(`z${number}`, 'm0'),
    ]));
    await meet();
  }
  const large = 'x'.repeat(300000) + number;
  await client.set(`b${number}`, large);
  heard.push((await client.get(`b${number}`)) === large);
  heard.push(await text(client.incr(`s${number}`)), await text(client.sendCommand(['nosuch', `${number}`])));
  heard.push(await client.xAdd(`x${number}`, '1-1', { f: `${number}` }), await client.xRange(`x${number}`, '-', '+'));
  return heard;
});

const transactions = (number, meet) => connected(async (client) => {
  const heard = [];
  for (let turn = 0; turn < 4; turn++) {
    await meet();
    heard.push(await client.multi().incr(`n${number}`).rPush(`l${number}`, `${turn}`).get(`n${number}`)
      .lRange(`l${number}`, 0, -1).exec());
    heard.push(await client.multi().get(`n${number}`).lLen(`l${number}`).execAsPipeline());
    await client.watch(`w${number}`);
    if (turn % 2) { await connected((other) => other.set(`w${number}`, `${turn}`)); }
    try {
      heard.push(await client.multi().set(`w${number}`, 'mine').get(`w${number}`).exec());
    } catch (error) {
      heard.push(error instanceof WatchError ? 'watched' : error.message);
    }
    heard.push(await client.get(`w${number}`));
  }
  return heard;
});

const messages = (number, meet) => connected((client) => connected(async (publisher) => {
  const heard = [];
  let done;
  const all = within(SECONDS, 'the messages', (resolve) => { done = resolve; });
  const hear = (kind) => (message, channel) => {
    heard.push(`${kind}: ${channel} ${message}`);
    if (heard.length === 2 * CLIENTS + 9) { done(); }
  };
  await client.subscribe([`own_${number}_`, 'everybody'], hear('message'));
  await client.pSubscribe([`own_${number}_*`, 'every*'], hear('pmessage'));
  await client.sSubscribe(`shard_${number}`, hear('smessage'));
  await meet();
  await publisher.publish('everybody', `from ${number}`);
  for (let n = 0; n < 3; n++) {
    await publisher.publish(`own_${number}_`, `${n}`);
    await publisher.sPublish(`shard_${number}`, `${n}`);
  }
  await all;
  await meet();
  await client.unsubscribe(`own_${number}_`);
  await client.pUnsubscribe();
  await client.sUnsubscribe();
  await client.unsubscribe();
  await client.set(`after${number}`, `${number}`);
  return [await client.get(`after${number}`), heard.filter((line) => /own|shard/.test(line)).sort(), heard.sort()];
}));

const blocking = (number, meet) => connected((waiter) => connected(async (client) => {
  await meet();
  const waits = [waiter.blPop(`q${number}`, 10), waiter.brPop(`q${number}`, 10), waiter.get(`none${number}`),
    waiter.blPop(`never${number}`, 0.05), waiter.xRead({ key: `x${number}`, id: '0' }, { BLOCK: 10000 })];
  await client.rPush(`q${number}`, `one of ${number}`);
  await meet();
  await client.rPush(`q${number}`, 'two');
  await client.xAdd(`x${number}`, '5-1', { tag: `${number}` });
  return Promise.all(waits);
}));

const scripts = (number, meet) => connected(async (client) => {
  await meet();
  const heard = [await client.eval('return {KEYS[1], ARGV[1] * 2}', { keys: [`k${number}`], arguments: [`${number}`] })];
  const sha = await client.scriptLoad(`return 'of ${number % 3}'`);
  heard.push(sha, await client.evalSha(sha), await text(client.eval('return redis.call("nosuch")')));
  return heard;
});

const scans = (number, meet) => connected(async (client) => {
  const keys = Array.from({ length: 300 }, (_, n) => `scan${number}:${n}`);
  await client.mSet(keys.map((key) => [key, '1']));
  await meet();
  const found = new Set();
  for await (const batch of client.scanIterator({ MATCH: `scan${number}:*`, COUNT: 1000 })) {
    batch.forEach((key) => found.add(key));
  }
  return [found.size, await client.unlink(keys)];
});

const pools = async (number, meet) => {
  const pool = await createClientPool(server, { minimum: 2, maximum: 4 }).connect();
  await meet();
  const heard = await Promise.all(Array.from({ length: 20 }, (_, n) => pool.execute(async (client) => {
    await client.set(`pool${number}:${n}`, `${n}`);
    return client.multi().get(`pool${number}:${n}`).incr(`pool${number}:${n}`).exec();
  })));
  pool.destroy();
  return heard;
};

const settings = (number, meet) => connected(async (client) => {
  await client.set('same', `of ${number % 5}`);
  await meet();
  const heard = [await client.clientGetName()];
  await client.select(15);
  await client.set(`sel${number}`, 'x');
  await client.select(number % 5);
  heard.push(await client.get('same'), await client.get(`sel${number}`));
  return heard;
}, { database: number % 5, name: `client-${number}` });

// What one client has read is forgotten when another changes it: CLIENT TRACKING, which is RESP3's.
const caching = (number, meet) => connected((client) => connected(async (other) => {
  const heard = [];
  for (let turn = 0; turn < 3; turn++) {
    await other.set(`c${number}`, `${turn}`);
    await within(SECONDS, 'the invalidation', async (resolve) => {
      while ((await client.get(`c${number}`)) !== `${turn}`) { await new Promise(setImmediate); }
      resolve();
    });
    heard.push(await client.get(`c${number}`), await client.get(`c${number}`));
    await meet();
  }
  return heard;
}), { clientSideCache: { ttl: 0, maxEntries: 100 } });

run(CLIENTS, {
  values, transactions, messages, blocking, scripts, scans, pools, settings, ...(RESP === 3 ? { caching } : {}),
});
