// ioredis sends any command by name; the replies are those of RESP2 (six images of test_ft.py).
import assert from 'node:assert';
import Redis from 'ioredis';

const redis = new Redis({ port: Number(process.argv[2]), host: '127.0.0.1' });
assert.deepEqual(await redis.call('FT.SEARCH', 'images', 'red car', 'RETURN', '1', 'title'), [1, 'a', ['title', 'Red car']]);
assert.deepEqual(await redis.call('FT.AGGREGATE', 'images', '*', 'GROUPBY', '0', 'REDUCE', 'COUNT', '0', 'AS', 'n'), [1, ['n', '6']]);
assert.deepEqual(await redis.call('FT._LIST'), ['images']);
assert.deepEqual(await redis.call('FT.SUGGET', 'images', 'car'), ['car', 'carpet']);
assert.deepEqual((await redis.call('FT.TAGVALS', 'images', 'rating')).sort(), ['3', '4', '5']);
const info = await redis.call('FT.INFO', 'images');
assert.equal(info[info.indexOf('num_docs') + 1], 6);
await assert.rejects(redis.call('FT.SEARCH', 'images', 'x', 'SCORER', 'BM25'), /not available/);
redis.disconnect();
console.log(JSON.stringify({ ok: true }));
