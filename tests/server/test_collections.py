"""Collections of every size and type beside a model, through kill -9, restarts, checkpoints and cleaning."""
import random
import time

import pytest

from conftest import until


class Model:
    """What the keys should hold, changed together with the server."""

    def __init__(self, client, seed):
        self.client, self.random = client, random.Random(seed)
        self.hashes, self.sets, self.zsets, self.lists = ({} for _ in range(4))
        self.deadlines = {}

    def data(self, size):
        return str(self.random.randrange(10 ** 6)) * self.random.choice((1, 1, 3, size))

    def step(self, pipe):
        number, pick = self.random.randrange(300), self.random.randrange(4)
        drop = self.random.random() < 0.2
        kind = self.random.choice(("hash", "set", "zset", "list"))
        key = f"{kind}:{pick}"
        if kind == "hash":
            held = self.hashes.setdefault(key, {})
            if drop:
                pipe.hdel(key, number)
                held.pop(str(number), None)
            else:
                value = self.data(700 if pick == 0 else 4)
                pipe.hset(key, number, value)
                held[str(number)] = value
        elif kind == "set":
            held = self.sets.setdefault(key, set())
            member = str(number) if pick < 2 else "m" * 70 + str(number)
            (pipe.srem if drop else pipe.sadd)(key, member)
            (held.discard if drop else held.add)(member)
        elif kind == "zset":
            held = self.zsets.setdefault(key, {})
            if drop:
                pipe.zrem(key, number)
                held.pop(str(number), None)
            else:
                score = self.random.randrange(50)
                pipe.zadd(key, {number: score})
                held[str(number)] = score
        else:
            self.step_list(pipe, key, drop)

    def step_list(self, pipe, key, drop):
        held = self.lists.setdefault(key, [])
        where = self.random.randrange(len(held)) if held else 0
        if not held or not drop:
            value = self.data(600 if key == "list:0" else 4)
            if self.random.random() < 0.5:
                pipe.lpush(key, value)
                held.insert(0, value)
            else:
                pipe.rpush(key, value)
                held.append(value)
        elif self.random.random() < 0.4:
            pipe.lset(key, where, "set")
            held[where] = "set"
        elif self.random.random() < 0.3:
            pipe.ltrim(key, 0, where)
            del held[where + 1:]
        else:
            pipe.lpop(key)
            held.pop(0)

    def work(self, steps):
        pipe = self.client.pipeline(transaction=False)
        for at in range(steps):
            self.step(pipe)
            if at % 200 == 199:
                pipe.execute()
        pipe.execute()
        for key in ("hash:0", "set:3", "zset:1", "list:0", "hash:3"):
            if self.random.random() < 0.5 and self.client.exists(key):
                at = int(time.time()) + 10000 + self.random.randrange(10000)
                self.deadlines[key] = at if self.random.random() < 0.7 else None
                if self.deadlines[key]:
                    self.client.expireat(key, at)
                else:
                    self.client.persist(key)

    def check(self, client):
        self.client = client
        for key, held in self.hashes.items():
            assert client.hgetall(key) == held, key
        for key, held in self.sets.items():
            assert client.smembers(key) == held, key
        for key, held in self.zsets.items():
            order = sorted(((score, member.encode()) for member, score in held.items()))
            assert [(score, member.encode()) for member, score in client.zrange(key, 0, -1, withscores=True)] == order
        for key, held in self.lists.items():
            assert client.lrange(key, 0, -1) == held, key
        for key, at in self.deadlines.items():
            if client.exists(key):
                assert client.expiretime(key) == (at or -1), key


def expiretime(client):
    client.expiretime = lambda key: client.execute_command("EXPIRETIME", key)
    return client


@pytest.mark.parametrize("options", [
    ("--checkpoint-interval", "0", "--checkpoint-bytes", "0"),
    ("--checkpoint-bytes", "200000"),
    ("--checkpoint-bytes", "200000", "--load-first-bytes", "1", "--hash-max-listpack-entries", "20"),
])
def test_they_are_the_same_after_kill_and_restart(make_server, options):
    server = make_server("--segment-bytes", "1mb", "--disk-bytes-max", "24mb", *options)
    client = expiretime(server.client(decode_responses=True))
    model = Model(client, len(options))
    for turn in range(5):
        model.work(1500)
        model.check(client)
        assert client.execute_command("WAITAOF", 1, 0, 10000)[0] == 1
        if turn % 2:
            server.stop()
        else:
            server.kill()
        server.start()
        client = expiretime(server.client(decode_responses=True))
        model.check(client)
    large = {key: client.object("encoding", key) for key in ("hash:0", "set:3", "zset:1", "list:0")}
    assert large == {"hash:0": "hashtable", "set:3": "hashtable", "zset:1": "skiplist", "list:0": "quicklist"}


def test_a_long_one_is_deleted_at_once_and_stays_deleted(server):
    client = server.client(decode_responses=True)
    before = client.info("memory")["memory_values"]
    for at in range(0, 200000, 10000):
        client.sadd("long", *range(at, at + 10000))
        client.rpush("list", *range(at, at + 10000))
    assert client.scard("long") == 200000 and client.llen("list") == 200000
    assert client.delete("long", "list") == 2 and client.exists("long") == 0
    client.sadd("long", "new")
    until(lambda: client.info("memory")["memory_values"] < before + 100000)
    assert client.execute_command("WAITAOF", 1, 0, 10000)[0] == 1
    server.kill()
    server.start()
    assert server.client(decode_responses=True).smembers("long") == {"new"} and not client.exists("list")


def test_the_log_of_a_queue_does_not_grow_without_end(make_server):
    server = make_server("--segment-bytes", "1mb", "--disk-bytes-max", "16mb")
    client = server.client(decode_responses=True)
    pipe = client.pipeline(transaction=False)
    for turn in range(60):
        for i in range(1000):
            pipe.rpush("queue", f"job {turn} {i} " + "x" * 200)
        for i in range(1000 if turn > 1 else 0):
            pipe.lpop("queue")
        pipe.execute()
    assert client.llen("queue") == 2000 and client.lindex("queue", 0).startswith("job 58 0 ")
    assert client.execute_command("WAITAOF", 1, 0, 10000)[0] == 1
    server.kill()
    server.start()
    assert server.client(decode_responses=True).lindex("queue", -1).startswith("job 59 999 ")


def test_changes_of_one_pass_are_one_record_and_come_back_all(make_server):
    server = make_server("--cache-appendfsync", "always", "--checkpoint-interval", "1")
    model, client = {}, server.client()
    client.hset("h", mapping={"f%d" % i: "x" * 20 for i in range(200)})
    model.update({b"f%d" % i: b"x" * 20 for i in range(200)})
    for turn in range(3):
        for _ in range(60):
            pipe = client.pipeline(transaction=False)
            for i in range(50):
                number = turn * 7 + i * 3
                pipe.hset("h", "f%d" % number, "%d:%d" % (turn, i)).hdel("h", "f%d" % (number + 1)).rpush("l", i).lpop("l")
                model[b"f%d" % number] = b"%d:%d" % (turn, i)
                model.pop(b"f%d" % (number + 1), None)
            pipe.rpush("l", turn)
            pipe.execute()
        server.kill()
        server.start()
        client = server.client()
        assert client.hgetall("h") == model
        assert client.llen("l") == 60 * (turn + 1)


def test_a_pipeline_on_one_key_writes_little_and_waits_for_the_disk(server):
    client = server.client()
    client.rpush("l", *["element:%d" % i for i in range(500)])
    client.config_set("cache-appendfsync", "always")
    before = client.info("store")
    pipe = client.pipeline(transaction=False)
    for i in range(2000):
        pipe.rpush("l", i)
    assert pipe.execute()[-1] == 2500
    after = client.info("store")
    assert after["last_lsn"] - before["last_lsn"] < 500
    assert after["durable_lsn"] == after["last_lsn"]
