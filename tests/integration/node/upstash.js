'use strict';
// npm's @upstash/redis. usage: TOKEN=... READER=... ENCODING=base64 node upstash.js PORT

const { Redis } = require('@upstash/redis');

const url = `http://127.0.0.1:${process.argv[2]}`;
const settings = { url, retry: false, responseEncoding: process.env.ENCODING === 'plain' ? false : 'base64' };
const redis = new Redis({ ...settings, token: process.env.TOKEN });
const reader = new Redis({ ...settings, token: process.env.READER });
const stranger = new Redis({ ...settings, token: 'nobody-knows-this-token' });

const failure = async (promise) => {
  try {
    return `succeeded: ${JSON.stringify(await promise)}`;
  } catch (error) {
    return error.message;
  }
};

const scanned = async () => {
  await redis.mset(Object.fromEntries(Array.from({ length: 50 }, (_, number) => [`scan:${number}`, number])));
  const seen = new Set();
  let cursor = '0';
  do {
    const [next, keys] = await redis.scan(cursor, { match: 'scan:*', count: 10 });
    keys.forEach((key) => seen.add(key));
    cursor = next;
  } while (String(cursor) !== '0');
  return seen.size;
};

const heard = () => new Promise((resolve) => {
  const messages = [];
  const subscription = redis.subscribe('news');
  subscription.on('message', async ({ channel, message }) => {
    messages.push({ channel, message });
    if (messages.length === 2) {
      await subscription.unsubscribe();
      resolve(messages);
    }
  });
  subscription.on('subscribe', async () => {
    await redis.publish('news', { n: 1 });
    await redis.publish('news', 'text, with commas');
  });
});

(async () => {
  const said = {};
  said.strings = [
    await redis.set('s', 'value'), await redis.get('s'),
    (await redis.set('n', 42), await redis.get('n')),
    (await redis.set('j', { a: [1, 'zwei', null] }, { ex: 100 }), await redis.get('j')),
    await redis.get('none'), (await redis.set('u', 'é✓'), await redis.get('u')),
    await redis.del('u'), await redis.mget('s', 'none', 'n'),
  ];
  said.hashes = [
    await redis.hset('h', { name: 'ana', age: 7 }), await redis.hgetall('h'), await redis.hget('h', 'name'),
    await redis.hincrby('h', 'age', 1), (await redis.hkeys('h')).sort(),
  ];
  said.lists = [
    await redis.rpush('l', 'a', 'b', { c: 1 }), await redis.lrange('l', 0, -1), await redis.lpop('l'), await redis.llen('l'),
  ];
  said.zsets = [
    await redis.zadd('z', { score: 1, member: 'one' }, { score: 2.5, member: 'two' }), await redis.zrange('z', 0, -1),
    await redis.zrange('z', 0, -1, { withScores: true }), await redis.zscore('z', 'two'),
  ];
  said.scan = await scanned();
  said.pipeline = await redis.pipeline().set('p', { deep: true }).incr('pn').get('p').get('none').exec();
  said.multi = await redis.multi().incr('m').incr('m').get('m').exec();
  said.many = await Promise.all(Array.from({ length: 200 }, () => redis.incr('many')));
  said.error = await failure(redis.lpush('s', 'x'));
  said.refused = await failure(reader.set('s', 'x'));
  said.eval = await redis.eval("return {1, 'two', {'three'}}", [], []);
  said.heard = await heard();
  said.unauthorized = await failure(stranger.get('s'));
  console.log(JSON.stringify(said));
})();
