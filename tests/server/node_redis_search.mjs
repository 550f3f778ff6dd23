// node-redis's own search module against the index `images` (six images of test_ft.py).
import assert from 'node:assert';
import { createClient } from 'redis';

const client = createClient({ RESP: 2, socket: { port: Number(process.argv[2]), host: '127.0.0.1' } });
client.on('error', (error) => { console.error(error); process.exit(1); });
await client.connect();
const found = await client.ft.search('images', 'red car', { RETURN: ['title', 'width'], LIMIT: { from: 0, size: 5 }, DIALECT: 2 });
assert.equal(found.total, 1);
assert.equal(found.documents[0].id, 'a');
assert.equal(found.documents[0].value.title, 'Red car');
const sorted = await client.ft.search('images', '*', { SORTBY: { BY: 'width', DIRECTION: 'DESC' } });
assert.deepEqual(sorted.documents.map((one) => one.id), ['b', 'a', 'd', 'c', 'f', 'e']);
assert.deepEqual((await client.ft.searchNoContent('images', 'rose')).documents, ['c']);
const rows = await client.ft.aggregate('images', '*', {
  STEPS: [{ type: 'GROUPBY', properties: '@tags', REDUCE: [{ type: 'COUNT', AS: 'n' }] },
          { type: 'SORTBY', BY: [{ BY: '@n', DIRECTION: 'DESC' }, { BY: '@tags', DIRECTION: 'ASC' }] }, { type: 'LIMIT', from: 0, size: 2 }],
});
assert.deepEqual(rows.results.map((row) => ({ ...row })), [{ tags: 'car', n: '2' }, { tags: 'red', n: '2' }]);
const info = await client.ft.info('images');
assert.equal(info.index_name, 'images');
assert.equal(Number(info.num_docs), 6);
assert.deepEqual(await client.ft._list(), ['images']);
assert.ok((await client.ft.tagVals('images', 'tags')).includes('big cat'));
assert.match(await client.ft.explain('images', 'red car'), /red/);
assert.deepEqual(await client.ft.sugGet('images', 'car'), ['car', 'carpet']);
await assert.rejects(client.ft.search('other', 'x'), /no such index/);
await client.close();
console.log(JSON.stringify({ ok: true }));
