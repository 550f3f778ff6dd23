"""Row S8 of the promises: how long a client waits for the disk while the cleaner works."""
import os
import random
import shutil
import socket
import statistics
import struct
import tempfile
import time
import zlib

from common import ROUNDS, Process

IMAGE, VALUE = 100 << 10, 4 << 10
DISK_MIB, SEGMENT_MIB = 640, 4
KEYS = 4400             # of IMAGE bytes: 70% of the disk
RATE = 80               # pairs of requests a second


def png(number):
    """A picture of 4 x 4, with bytes behind its end that make it one of its kind."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    image = (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0)) +
             chunk(b"IDAT", zlib.compress(bytes(4 * 13))) + chunk(b"IEND", b""))
    return (image + b"%016x" % number).ljust(IMAGE, b"x")


def request(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


class Client:
    """One connection; asks, waits for the reply, knows how long that took."""

    def __init__(self, server):
        self.socket = socket.create_connection(("127.0.0.1", server.port))
        self.number = 0

    def ask(self, *words):
        data, start = request(*words), time.perf_counter()
        self.socket.sendall(data)
        reply = self.socket.recv(4096)
        if not reply.startswith((b"+", b":", b"$", b"*")):
            raise RuntimeError(f"the server said {reply!r}")
        return (time.perf_counter() - start) * 1e6

    def put(self, key):
        self.number += 1
        return self.ask(b"IMG.PUT", b"image%d" % key, png(self.number))

    def pace(self, seconds):
        """RATE times a second an image over a random one, and a value; times of both."""
        puts, sets = [], []
        due = time.perf_counter()
        for _ in range(int(seconds * RATE)):
            due += 1 / RATE
            time.sleep(max(0.0, due - time.perf_counter()))
            puts.append(self.put(random.randrange(KEYS)))
            sets.append(self.ask(b"SET", b"value%d" % random.randrange(1000), b"v" * VALUE))
        return puts, sets


def percentile(times, share):
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


def bench_round(seconds):
    """Times of (IMG.PUT, SET) at rest and with the cleaner at work; victims in both; its longest slice."""
    folder = tempfile.mkdtemp(prefix="tintype-bench-")
    server = Process("tintype", folder, "--appendfsync", "always", "--cache-appendfsync", "always",
                     "--disk-bytes-max", f"{DISK_MIB}mb", "--segment-bytes", f"{SEGMENT_MIB}mb", "--hot-memory", "16mb")
    client = Client(server)
    for key in range(KEYS):
        client.put(key)
    victims = [server.info("cleaner_victims")]
    rest = client.pace(seconds)
    victims.append(server.info("cleaner_victims"))
    while server.info("cleaner_victims") < victims[-1] + 3:
        for _ in range(50):
            client.put(random.randrange(KEYS))
    victims.append(server.info("cleaner_victims"))
    work = client.pace(seconds)
    victims.append(server.info("cleaner_victims"))
    slice_us = server.info("cleaner_slice_us_max")
    server.stop()
    shutil.rmtree(folder)
    return rest, work, victims[1] - victims[0], victims[3] - victims[2], slice_us


def bench_clean_latency():
    """S8: durable IMG.PUT of 100 KB and SET of 4 KB from one client that keeps a pace, with the cleaner at rest
    and at work, in the same run."""
    random.seed(7)
    seconds = float(os.environ.get("SECONDS_EACH", "10"))
    rounds = [bench_round(seconds) for _ in range(ROUNDS)]
    for which, name in enumerate(("IMG.PUT 100 KB", "SET 4 KB")):
        for share, label in ((0.5, "p50"), (0.99, "p99")):
            rest, work = (statistics.median(percentile(one[phase][which], share) for one in rounds)
                          for phase in (0, 1))
            print(f"S8 {name:<15} {label}, cleaner at rest, at work {rest:>8.0f} {work:>8.0f} us  {work / rest:>5.2f}x"
                  f"{'   goal 1.2x' if label == 'p99' else ''}")
    print(f"   segments cleaned meanwhile: {sum(one[2] for one in rounds):.0f}, {sum(one[3] for one in rounds):.0f}; "
          f"longest slice of the cleaner {max(one[4] for one in rounds):.0f} us", flush=True)


BENCHES = {"clean-latency": bench_clean_latency}
