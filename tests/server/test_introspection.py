"""LATENCY, MEMORY: what they show is so."""
import re

import pytest
import redis

from conftest import Server


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
