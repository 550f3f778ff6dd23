<?php
// phpredis, and PHP's sessions kept by it. The port is the argument.
$port = (int) $argv[1];
$redis = new Redis();
$redis->connect('127.0.0.1', $port);
$redis->select(8);
assert($redis->set('k', 'v', ['nx', 'ex' => 100]) === true && $redis->set('k', 'w', ['nx']) === false);
assert($redis->ttl('k') > 90 && $redis->mGet(['k', 'nosuch']) === ['v', false]);
$result = $redis->multi()->incr('n')->hMSet('h', ['a' => '1', 'b' => '2'])->hGetAll('h')->exec();
assert($result === [1, true, ['a' => '1', 'b' => '2']]);
$redis->zAdd('z', 1, 'one', 2, 'two');
assert($redis->zRange('z', 0, -1, true) === ['one' => 1.0, 'two' => 2.0]);
$redis->setOption(Redis::OPT_SCAN, Redis::SCAN_RETRY);
$cursor = null;
$seen = [];
while ($keys = $redis->scan($cursor)) array_push($seen, ...$keys);
sort($seen);
assert($seen === ['h', 'k', 'n', 'z']);

ini_set('session.save_handler', 'redis');
ini_set('session.save_path', "tcp://127.0.0.1:$port?database=9&prefix=sess:");
ini_set('session.use_cookies', '0');
ini_set('session.cache_limiter', '');
session_id('abc');
session_start();
$_SESSION['user'] = ['name' => 'Ada', 'visits' => 3];
session_write_close();
$_SESSION = [];
session_id('abc');
session_start();
assert($_SESSION['user'] === ['name' => 'Ada', 'visits' => 3]);
session_destroy();
$redis->select(9);
assert($redis->exists('sess:abc') === 0);
echo "ok\n";
