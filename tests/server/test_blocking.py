"""Commands that wait for elements: fair, with timeouts, inside MULTI, with CLIENT UNBLOCK."""
import time

import pytest
import redis

from conftest import until
from wire import Wire


def blocked(client):
    return client.info("clients")["blocked_clients"]


class Waiter:
    """A connection that has sent a command and waits for its reply."""

    def __init__(self, server, *words):
        self.connection = server.client(decode_responses=True).connection_pool.get_connection("_")
        self.connection.send_command("CLIENT", "ID")
        self.id = self.connection.read_response()
        self.connection.send_command(*words)

    def reply(self):
        return self.connection.read_response()

    def answered(self, seconds=0.05):
        return self.connection.can_read(timeout=seconds)


@pytest.fixture
def admin(server):
    return server.client(decode_responses=True)


def test_who_waits_longest_is_served_first(server, admin):
    waiters = []
    for i in range(5):
        waiters.append(Waiter(server, "BLPOP", "a", "queue", "b", "0"))
        until(lambda: blocked(admin) == i + 1)
    admin.rpush("queue", "1", "2", "3")
    assert [waiter.reply() for waiter in waiters[:3]] == [["queue", "1"], ["queue", "2"], ["queue", "3"]]
    assert admin.exists("queue") == 0 and blocked(admin) == 2
    admin.lpush("b", "x")
    assert waiters[3].reply() == ["b", "x"] and not waiters[4].answered()
    admin.lpush("a", "y")
    assert waiters[4].reply() == ["a", "y"]
    until(lambda: blocked(admin) == 0)


def test_the_waiting_client_comes_before_whoever_asks_next(server, admin):
    waiter = Waiter(server, "BRPOP", "queue", "0")
    until(lambda: blocked(admin) == 1)
    pipe = admin.pipeline(transaction=False)
    pipe.rpush("queue", "1").lpop("queue").rpush("queue", "2").lpop("queue")
    assert pipe.execute() == [1, None, 1, "2"]
    assert waiter.reply() == ["queue", "1"]


def test_within_exec_it_is_served_when_all_of_it_is_done(server, admin):
    waiter = Waiter(server, "BLPOP", "queue", "0")
    until(lambda: blocked(admin) == 1)
    pipe = admin.pipeline()
    pipe.rpush("queue", "1").lpop("queue").execute()
    assert not waiter.answered()
    pipe.rpush("queue", "1", "2").lpop("queue").execute()
    assert waiter.reply() == ["queue", "2"]
    # A transaction never waits.
    pipe = admin.pipeline()
    pipe.execute_command("BLPOP", "nothing", 0)
    pipe.execute_command("BLMOVE", "nothing", "other", "LEFT", "LEFT", 0)
    pipe.execute_command("BLMPOP", 0, 1, "nothing", "LEFT")
    assert pipe.execute() == [None, None, None]


def test_time_is_up(server, admin):
    begun = time.monotonic()
    assert admin.blpop("nothing", timeout=0.2) is None
    assert admin.execute_command("BLMOVE", "nothing", "other", "LEFT", "RIGHT", "0.1") is None
    assert admin.execute_command("BLMPOP", "0.1", "2", "x", "y", "LEFT") is None
    assert 0.35 < time.monotonic() - begun < 5
    assert blocked(admin) == 0
    admin.rpush("nothing", "1")
    assert admin.lrange("nothing", 0, -1) == ["1"]


def test_unblock_as_if_time_were_up_or_with_an_error(server, admin):
    first, second = Waiter(server, "BLPOP", "k", "0"), Waiter(server, "BLMOVE", "k", "l", "LEFT", "LEFT", "0")
    until(lambda: blocked(admin) == 2)
    assert admin.execute_command("CLIENT", "UNBLOCK", first.id) == 1
    assert admin.execute_command("CLIENT", "UNBLOCK", second.id, "ERROR") == 1
    assert first.reply() is None
    with pytest.raises(redis.ResponseError, match="^UNBLOCKED client unblocked via CLIENT UNBLOCK"):
        second.reply()
    assert admin.execute_command("CLIENT", "UNBLOCK", first.id) == 0
    admin.rpush("k", "1")
    assert admin.llen("k") == 1


def test_who_left_gets_nothing(server, admin):
    waiter = Waiter(server, "BLPOP", "k", "0")
    until(lambda: blocked(admin) == 1)
    waiter.connection.disconnect()
    until(lambda: blocked(admin) == 0)
    other = Waiter(server, "BLPOP", "k", "0")
    until(lambda: blocked(admin) == 1)
    admin.rpush("k", "1")
    assert other.reply() == ["k", "1"]


def test_moves_wake_others_in_a_chain(server, admin):
    last = Waiter(server, "BLPOP", "c", "0")
    middle = Waiter(server, "BLMOVE", "b", "c", "LEFT", "RIGHT", "0")
    first = Waiter(server, "BRPOPLPUSH", "a", "b", "0")
    until(lambda: blocked(admin) == 3)
    admin.lpush("a", "x")
    assert [first.reply(), middle.reply(), last.reply()] == ["x", "x", ["c", "x"]]
    assert admin.exists("a", "b", "c") == 0


def test_keys_of_another_type(server, admin):
    admin.set("s", "v")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        admin.blpop(["s", "k"], timeout=1)
    waiter = Waiter(server, "BLPOP", "k", "l", "0")
    until(lambda: blocked(admin) == 1)
    admin.set("k", "v")
    admin.delete("k")
    admin.sadd("k", "member")
    admin.rpush("l", "1")
    assert waiter.reply() == ["l", "1"]


def test_many_elements_and_renamed_lists(server, admin):
    waiter = Waiter(server, "BLMPOP", "0", "2", "x", "y", "RIGHT", "COUNT", "2")
    until(lambda: blocked(admin) == 1)
    admin.rpush("y", "1", "2", "3")
    assert waiter.reply() == ["y", ["3", "2"]]
    waiter = Waiter(server, "BLPOP", "target", "0")
    until(lambda: blocked(admin) == 1)
    admin.rename("y", "target")
    assert waiter.reply() == ["target", "1"]


def test_sorted_sets(server, admin):
    waiters = [Waiter(server, "BZPOPMIN", "z", "y", "0")]
    until(lambda: blocked(admin) == 1)
    waiters.append(Waiter(server, "BZPOPMAX", "z", "0"))
    until(lambda: blocked(admin) == 2)
    waiters.append(Waiter(server, "BZMPOP", "0", "2", "z", "y", "MIN", "COUNT", "5"))
    until(lambda: blocked(admin) == 3)
    admin.zadd("z", {"a": 1, "b": 2, "c": 3, "d": 4})
    assert [waiter.reply() for waiter in waiters] == [["z", "a", "1"], ["z", "d", "4"], ["z", [["b", "2"], ["c", "3"]]]]
    waiter = Waiter(server, "BZPOPMIN", "made", "0")
    until(lambda: blocked(admin) == 1)
    admin.zadd("from", {"x": 7})
    admin.zunionstore("made", ["from", "nothing"])
    assert waiter.reply() == ["made", "x", "7"]
    assert admin.bzpopmin("z", timeout=0.05) is None


def test_what_was_taken_is_gone_after_a_crash(server, admin):
    waiter = Waiter(server, "BLPOP", "k", "0")
    until(lambda: blocked(admin) == 1)
    admin.rpush("k", "1", "2")
    assert waiter.reply() == ["k", "1"]
    assert admin.execute_command("WAITAOF", 1, 0, 5000)[0] == 1
    server.kill()
    server.start()
    assert admin.lrange("k", 0, -1) == ["2"]


def test_wrong_words_are_answered_as_redis_does(server, peer):
    lines = [("BLPOP", "k", "x"), ("BLPOP", "k", "-1"), ("BLPOP", "k", "nan"), ("BLPOP", "k"), ("BRPOP", "k", ""),
             ("BLMOVE", "a", "b", "UP", "LEFT", "1"), ("BLMOVE", "a", "b", "LEFT", "LEFT", "x"),
             ("BLMOVE", "a", "b", "LEFT", "LEFT"), ("BLMPOP", "x", "1", "k", "LEFT"), ("BLMPOP", "1", "0", "k", "LEFT"),
             ("BLMPOP", "1", "1", "k", "UP"), ("BLMPOP", "1", "1", "k", "LEFT", "COUNT", "0"), ("BLMPOP", "-1", "1", "k", "LEFT"),
             ("BRPOPLPUSH", "a", "b", "-0.1"), ("BZPOPMIN", "z", "x"), ("BZMPOP", "0", "0", "z", "MIN"),
             ("BZMPOP", "0.01", "1", "z", "MIN", "COUNT", "-1"), ("BZPOPMAX", "z", "0.01"), ("BZMPOP", "x", "1", "z", "MAX"),
             ("BLPOP", "k", "0.01"), ("BLPOP", "k", "1e-9")]
    with Wire(server.port) as ours, Wire(peer) as theirs:
        for line in lines:
            assert ours.command(*line) == theirs.command(*line), line
