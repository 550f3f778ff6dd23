// ioredis through Sentinels: counts up with WAIT while the leader changes. Arguments: their ports. Ends after a
// line on standard input and fifty more writes; prints what was acknowledged by a follower, too.
import assert from 'node:assert';
import Redis from 'ioredis';

const sentinels = process.argv.slice(2).map((port) => ({ host: '127.0.0.1', port: Number(port) }));
const redis = new Redis({ sentinels, name: 'tintype', maxRetriesPerRequest: null, commandTimeout: 1000,
  sentinelRetryStrategy: () => 50, retryStrategy: () => 50 });
redis.on('error', () => {});
const kept = [];
let asked = false, after = 0;
process.stdin.once('data', () => { asked = true; });
for (let number = 1; after < 50; number++) {
  try {
    await redis.set(`io${number}`, number);
    if (await redis.wait(1, 200) >= 1) {
      kept.push(number);
      if (asked) after++;
    }
  } catch (error) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  if (kept.length === 50) console.log('writing');
}
assert.equal((await redis.role())[0], 'master');
redis.disconnect();
console.log(JSON.stringify({ kept, after }));
process.exit(0);
