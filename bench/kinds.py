"""Hashes, lists, sets and sorted sets against redis-server: CPU per request of redis-benchmark's rows, and bytes
that MEMORY USAGE counts."""
import os
import socket
import statistics
import subprocess
import time

from common import ROUNDS, Pair, row

ROWS = ["lpush", "rpush", "lpop", "rpop", "sadd", "hset", "spop", "zadd", "zpopmin", "lrange_100", "lrange_300", "lrange_500", "lrange_600"]
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(server):
    with open(f"/proc/{server.pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def run_row(server, name, pipeline, requests):
    """CPU us per request, as the server's process used it."""
    before = cpu_s(server)
    subprocess.run(["taskset", "-c", "1", "redis-benchmark", "-p", str(server.port), "-t", name, "-n", str(requests), "-P", str(pipeline),
                    "-c", "50", "-r", "100000", "-q"], stdout=subprocess.DEVNULL, check=True)
    return (cpu_s(server) - before) * 1e6 / requests


def bench_rows():
    """redis-benchmark's rows of collections: 50 connections, 100,000 keys or members."""
    for pipeline, requests in ((1, 100_000), (16, 400_000)):
        with Pair() as pair:
            for name in ROWS:
                goal = "1.0x" if pipeline == 1 else "1.3x" if name.startswith("lrange") else "1.8x"
                count = requests // 10 if name.startswith("lrange") else requests
                ours, theirs = [], []
                for _ in range(ROUNDS):
                    ours.append(run_row(pair.tintype, name, pipeline, count))
                    theirs.append(run_row(pair.peer, name, pipeline, count))
                row(f"{name} pipeline {pipeline}", statistics.median(ours), statistics.median(theirs), goal, "us CPU/req")


KINDS = {
    "hash": lambda i: ["HSET", "k", f"field:{i}", f"value:{i * 7919}"], "list": lambda i: ["RPUSH", "k", f"element:{i * 7919}"],
    "set": lambda i: ["SADD", "k", f"member:{i}"], "intset": lambda i: ["SADD", "k", str(i * 3)],
    "sorted set": lambda i: ["ZADD", "k", str(i * 7919 % 1000 / 4), f"member:{i}"],
}


def usage(server, kind, count):
    server.cli("FLUSHALL")
    words = "\n".join(" ".join(KINDS[kind](i)) for i in range(count)) + "\n"
    server.cli(data=words.encode())
    return float(server.cli("MEMORY", "USAGE", "k", "SAMPLES", "0"))


def bench_memory():
    """One key with so many members."""
    with Pair() as pair:
        for count in (5, 50, 100, 1000, 10_000):
            for kind in KINDS:
                row(f"{kind} of {count}", usage(pair.tintype, kind, count), usage(pair.peer, kind, count), "1.0x", "bytes")


def bench_collections():
    """Hashes, lists, sets, sorted sets against redis-server."""
    bench_memory()
    bench_rows()


FLUSHED = 1_000_000


def fill(server):
    """Strings, and hashes, lists, sets and sorted sets of ten to twenty members."""
    members = [f"m{i}" for i in range(10)]
    make = {6: lambda i: ["HSET", f"h:{i}", *(word for m in members for word in (m, "v" * 10))], 7: lambda i: ["RPUSH", f"l:{i}", *members, *members],
            8: lambda i: ["SADD", f"s:{i}", *members], 9: lambda i: ["ZADD", f"z:{i}", *(word for k, m in enumerate(members) for word in (str(k), m))]}
    for start in range(0, FLUSHED, 50_000):
        lines = [" ".join(make[i % 10](i) if i % 10 > 5 else ["SET", f"key:{i}", "x" * 20]) for i in range(start, start + 50_000)]
        server.cli("--pipe", data=("\r\n".join(lines) + "\r\n").encode())


def flush_waits(server, *mode):
    """(ms until FLUSHALL was answered, longest wait of somebody who asks meanwhile and for half a second after)."""
    fill(server)
    with socket.create_connection(("127.0.0.1", server.port)) as one, socket.create_connection(("127.0.0.1", server.port)) as other:
        for wire in (one, other):
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        begin = time.perf_counter()
        one.setblocking(False)
        one.sendall(" ".join(["FLUSHALL", *mode]).encode() + b"\r\n")
        answered, longest, now = None, 0.0, begin
        while now - begin < 0.5 + (answered or 10):
            asked = now
            other.sendall(b"PING\r\n")
            other.recv(64)
            now = time.perf_counter()
            longest = max(longest, now - asked)
            if answered is None:
                try:
                    answered = now - begin if one.recv(64) else None
                except BlockingIOError:
                    pass
    return answered * 1000, longest * 1000


def bench_flush():
    """FLUSHALL of a million keys, two in five of them collections: until it answers, and the longest that another client waits."""
    with Pair() as pair:
        for mode in ("SYNC", "ASYNC"):
            ours = [flush_waits(pair.tintype, mode) for _ in range(ROUNDS)]
            theirs = [flush_waits(pair.peer, mode) for _ in range(ROUNDS)]
            for i, what in enumerate(("answered", "longest PING beside it")):
                row(f"FLUSHALL {mode}, {what}", statistics.median(o[i] for o in ours), statistics.median(t[i] for t in theirs), "1 ms", "ms")
        print(f"longest slice: {pair.tintype.info('flush_slice_us_max'):.0f} us")


BENCHES = {"collections": bench_collections, "flush": bench_flush}
