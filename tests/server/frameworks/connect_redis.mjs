// connect-redis (the session store of Express), Keyv, and node-redis with its cache of what it read. Port.
import assert from 'node:assert';
import { promisify } from 'node:util';
import { createClient, BasicClientSideCache } from 'redis';
import { RedisStore } from 'connect-redis';
import KeyvRedis from '@keyv/redis';

const url = `redis://127.0.0.1:${process.argv[2]}/10`;
const client = await createClient({ url }).connect();
const store = new RedisStore({ client, prefix: 'sess:', ttl: 100 });
const call = (name, ...args) => promisify(store[name].bind(store))(...args);
const session = { cookie: {}, user: 'ada' };
await call('set', 'one', session);
assert.deepEqual(await call('get', 'one'), session);
assert.ok((await client.ttl('sess:one')) > 90);
await call('touch', 'one', session);
for (let i = 0; i < 50; i++) await call('set', `many${i}`, session);
assert.equal(await call('length'), 51);
assert.equal((await call('all')).length, 51);
await call('destroy', 'one');
await call('clear');
assert.equal(await call('length'), 0);

const keyv = new KeyvRedis(url, { namespace: 'kv' });
await keyv.set('a', 'value', 1000);
assert.equal(await keyv.get('a'), 'value');
assert.equal(await keyv.delete('a'), true);
await keyv.disconnect();

const cache = new BasicClientSideCache({ ttl: 0, maxEntries: 100 });
const reader = await createClient({ url, RESP: 3, clientSideCache: cache }).connect();
await client.set('cached', '1');
assert.equal(await reader.get('cached'), '1');
assert.equal(await reader.get('cached'), '1');
assert.equal(cache.stats().hitCount, 1);
await client.set('cached', '2');
for (let i = 0; (await reader.get('cached')) !== '2'; i++) {
  assert.ok(i < 200, 'an invalidation never came');
  await new Promise((resolve) => setTimeout(resolve, 10));
}
await client.flushDb();
for (let i = 0; (await reader.get('cached')) !== null; i++) {
  assert.ok(i < 200, 'an invalidation of all never came');
  await new Promise((resolve) => setTimeout(resolve, 10));
}
reader.destroy();
client.destroy();
console.log('ok');
