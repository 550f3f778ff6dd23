// node-redis: connect, authenticate, RESP3, a pipeline of a thousand, binary keys.
import assert from 'node:assert';
import { createClient, RESP_TYPES } from 'redis';

const port = Number(process.argv[2]);
for (const RESP of [2, 3]) {
  const client = createClient({ RESP, name: 'tester', password: 'sesame', socket: { port, host: '127.0.0.1' } });
  client.on('error', (error) => { console.error(error); process.exit(1); });
  await client.connect();
  assert.equal(await client.set('k', 'v', { EX: 100 }), 'OK');
  assert.equal(await client.get('k'), 'v');
  assert.equal(await client.clientGetName(), 'tester');
  const many = await Promise.all(Array.from({ length: 1000 }, (_, i) => client.set(`p${i}`, `${i}`)));
  assert.equal(many.length, 1000);
  const key = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  await client.set(key, key);
  const typed = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
  assert.deepEqual(await typed.get(key), key);
  await assert.rejects(client.sendCommand(['NOSUCH']), /unknown command/);
  const info = await client.info();
  assert.match(info, /redis_version:7.2.4/);
  assert.match(info, /server_name:tintype/);
  await client.close();
}
console.log(JSON.stringify({ ok: true }));
