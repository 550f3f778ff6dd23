"""LATENCY, MEMORY: what they show is so."""
import re
import subprocess
import time

import pytest
import redis

from conftest import Server, answers, free_port, until
from twins import Twins
from wire import Wire


@pytest.fixture
def server(folder):
    made = Server(folder, "--enable-debug-command", "local").start()
    yield made
    made.stop()


@pytest.fixture
def admin(server):
    return server.client(decode_responses=True)


def test_histogram_counts_every_call(admin):
    for i in range(300):
        admin.set(f"k{i}", i)
    histogram = admin.execute_command("LATENCY", "HISTOGRAM", "set", "nosuch")
    assert histogram[0] == "set" and len(histogram) == 2
    shown = dict(zip(histogram[1][::2], histogram[1][1::2]))
    counts = shown["histogram_usec"]
    bounds, sums = counts[::2], counts[1::2]
    assert shown["calls"] == 300 and sums[-1] == 300 and sums == sorted(sums)
    assert all(b & (b - 1) == 0 for b in bounds) and bounds == sorted(bounds)
    every = admin.execute_command("LATENCY", "HISTOGRAM")
    assert "set" in every[::2] and "latency|histogram" in every[::2]
    assert admin.execute_command("LATENCY", "HISTOGRAM", "nosuch") == []
    admin.config_resetstat()
    assert "set" not in admin.execute_command("LATENCY", "HISTOGRAM")[::2]


def test_doctor_and_graph(admin):
    assert "latency-monitor-threshold" in admin.execute_command("LATENCY", "DOCTOR")
    with pytest.raises(redis.ResponseError, match="No samples available for event 'command'"):
        admin.execute_command("LATENCY", "GRAPH", "command")
    admin.config_set("latency-monitor-threshold", 1)
    assert "Nothing took" in admin.execute_command("LATENCY", "DOCTOR")
    admin.execute_command("DEBUG", "SLEEP", "0.02")
    assert re.match(r"command: 1 spikes", admin.execute_command("LATENCY", "DOCTOR"))
    assert admin.execute_command("LATENCY", "GRAPH", "command").startswith("command - high ")


def test_memory(admin):
    before = admin.memory_stats()
    assert before["keys.count"] == 0
    pipe = admin.pipeline(transaction=False)
    for i in range(2000):
        pipe.set(f"key:{i}", "v" * 100)
    pipe.execute()
    after = admin.memory_stats()
    assert after["keys.count"] == 2000 and after["dataset.bytes"] > 2000 * 100
    assert 100 < after["keys.bytes-per-key"] < 300 and "db.0" in after
    assert after["total.allocated"] > before["total.allocated"]
    assert isinstance(admin.execute_command("MEMORY", "DOCTOR"), str)
    stats = admin.execute_command("MEMORY", "MALLOC-STATS")
    assert "jemalloc" in stats or "not supported" in stats        # with a sanitizer
    assert admin.execute_command("MEMORY", "PURGE") == "OK"


def test_debug_is_for_those_who_may(server, admin):
    assert admin.execute_command("DEBUG", "SLEEP", "0") == "OK"
    assert admin.execute_command("DEBUG", "STRINGMATCH-LEN", "100", "a*b") is not None
    admin.set("k", "v", px=1)
    admin.execute_command("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    line = admin.execute_command("DEBUG", "OBJECT", "s") if admin.set("s", "x") else ""
    assert "encoding:" in line and "serializedlength:" in line
    with pytest.raises(redis.ResponseError, match="no such key"):
        admin.execute_command("DEBUG", "OBJECT", "missing")
    server.stop()
    server.start("--enable-debug-command", "no")
    with pytest.raises(redis.ResponseError, match="DEBUG command not allowed"):
        server.client().execute_command("DEBUG", "SLEEP", "0")


def test_latencystats_and_what_is_not_there(client):
    client.set("a", 1)
    stats = client.info("latencystats")["latency_percentiles_usec_set"]
    assert list(stats) == ["p50", "p99", "p99.9"] and 0 < stats["p50"] <= stats["p99.9"]
    client.config_set("latency-tracking", "no")
    assert client.info("latencystats") == {}
    for words, text in ((["CLUSTER", "INFO"], "This instance has cluster support disabled"), (["READONLY"], "This instance has cluster"),
                        (["MODULE", "LOAD", "x"], "MODULE command not allowed"), (["CLIENT", "PAUSE", "1", "x"], "CLIENT PAUSE mode must be")):
        with pytest.raises(redis.ResponseError, match=text):
            client.execute_command(*words)
    assert client.execute_command("MODULE", "LIST") == []
    assert client.execute_command("BGREWRITEAOF") in (True, b"Background append only file rewriting started")


def test_client_kill_by_user(server, client):
    client.acl_setuser("mallory", enabled=True, nopass=True, commands=["+@all"], keys=["*"])
    other = server.client(username="mallory", password="x")
    assert other.ping() and client.client_kill_filter(user="default", skipme=True) >= 0
    assert client.execute_command("CLIENT", "KILL", "USER", "mallory") == 1
    with pytest.raises(redis.ResponseError, match="No such user 'nobody'"):
        client.execute_command("CLIENT", "KILL", "USER", "nobody")


def test_a_command_does_not_answer_for_the_time_before_it(client):
    client.config_set("slowlog-log-slower-than", 20_000)
    for _ in range(6):
        time.sleep(0.07)                      # nothing to do for the server: there is nothing to wait for
        client.get("x")
    assert client.info("commandstats")["cmdstat_get"]["usec"] < 60_000
    assert [e for e in client.slowlog_get() if e["command"].startswith(b"GET")] == []


WORDS = """CLIENT LIST ID -1|CLIENT LIST ID x|CLIENT PAUSE 1 ALL x|CLIENT PAUSE 1 WHAT|SLOWLOG GET 1 2|SLOWLOG GET x|MEMORY USAGE k SAMPLES x|
MEMORY USAGE k SAMPLES -1|FAILOVER TO a b|FAILOVER TO a 1 FORCE|DEBUG FOO|DEBUG SLEEP|DEBUG OBJECT|DEBUG OBJECT nokey|CLIENT FOO|OBJECT FOO k|
CLIENT UNBLOCK x ERROR 1|BLMPOP x 0 k LEFT|BLMPOP x 1 k LEFT|BZMPOP x 0 k MIN|BZMPOP -1 1 k MID|ZINCRBY z INCR m|ZINCRBY z 1x m|ZINCRBY z nx m"""


@pytest.mark.parametrize("resp", [2, 3])
def test_odd_words_are_answered_as_redis_does(make_server, resp):
    ours = make_server("--enable-debug-command", "yes")
    port = free_port()
    peer = subprocess.Popen(["redis-server", "--port", str(port), "--save", "", "--enable-debug-command", "yes"], stdout=subprocess.DEVNULL)
    try:
        until(lambda: answers(port))
        twins = Twins(ours.port, port)
        for line in WORDS.replace("\n", "").split("|"):
            twins.same(line.split(), resp)
        twins.same(["SET", "k", "12"], resp)
        for side in twins.ask(["DEBUG", "OBJECT", "k"], resp):
            assert b" encoding:int " in side[1]
        twins.close()
    finally:
        peer.kill()
        peer.wait()


def fields(port, *sections):
    with Wire(port) as wire:
        lines = wire.command("INFO", *sections).decode().split("\r\n")
    return {line.split(":")[0] for line in lines if ":" in line}


def test_info_has_all_of_redis_s_fields(server, peer):
    for sections in ([], ["all"], ["everything"], ["memory"], ["persistence", "stats"]):
        assert fields(peer, *sections) - fields(server.port, *sections) == set()
    with Wire(server.port) as wire:
        shown = dict(line.split(":") for line in wire.command("INFO", "memory").decode().split("\r\n") if ":" in line)
        stats = wire.command("MEMORY", "MALLOC-STATS")
    if b"jemalloc" in stats:              # a build with a sanitizer has another malloc
        assert 0 < int(shown["allocator_allocated"]) <= int(shown["allocator_active"]) <= int(shown["allocator_resident"])


def test_help_has_no_blanks_at_the_end(server):
    for container in ("CLIENT", "CONFIG", "OBJECT", "MEMORY", "ACL", "COMMAND", "IMG.TIER", "IMG.INDEX"):
        with Wire(server.port) as wire:
            lines = wire.command(container, "HELP")
        assert len(lines) > 2 and all(line == line.rstrip() for line in lines)
