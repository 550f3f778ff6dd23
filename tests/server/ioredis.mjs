// ioredis: its ready check, pipelines, buffers, errors. Port, and for TLS the file of the CA.
import assert from 'node:assert';
import { readFileSync } from 'node:fs';
import Redis from 'ioredis';

const ca = process.argv[3];
const tls = ca && { ca: readFileSync(ca), servername: 'localhost' };
const redis = new Redis({ port: Number(process.argv[2]), host: '127.0.0.1', tls, password: 'sesame', db: 2, connectionName: 'io' });
await new Promise((resolve, reject) => { redis.once('ready', resolve); redis.once('error', reject); });
assert.equal(await redis.set('k', 'v', 'PX', 100000), 'OK');
assert.equal(await redis.client('GETNAME'), 'io');
const pipeline = redis.pipeline();
for (let i = 0; i < 1000; i++) pipeline.set(`p${i}`, i).get(`p${i}`);
const replies = await pipeline.exec();
assert.equal(replies.length, 2000);
assert.equal(replies[1999][1], '999');
const key = Buffer.from([0, 255, 13, 10]);
await redis.set(key, key);
assert.deepEqual(await redis.getBuffer(key), key);
await assert.rejects(redis.call('NOSUCH'), /unknown command/);
assert.equal((await redis.scan(0, 'COUNT', 5000))[1].length, 1002);
redis.disconnect();
console.log(JSON.stringify({ ok: true }));
