"""Row R5 of the promises: three real redis-sentinels fail over, and a client waits for the first write."""
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time

import redis

from common import BUILD, ROUNDS

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/server"))
os.environ.setdefault("BUILD", BUILD)
from sentinels import Region  # noqa: E402 (it stands with the tests)


class Ear(threading.Thread):
    """Notes when each event of a Sentinel came."""

    def __init__(self, watchers, number):
        super().__init__(daemon=True)
        self.heard, self.subscriber = {}, watchers.ask(number).pubsub()
        self.subscriber.psubscribe("*")
        self.start()

    def run(self):
        try:
            for message in self.subscriber.listen():
                if message["type"] == "pmessage":
                    self.heard.setdefault(message["channel"].decode(), time.monotonic())
        except (redis.RedisError, OSError, ValueError, AttributeError):
            pass                          # it is over


class Knocker(threading.Thread):
    """Asks one server to write, again and again; when it first did."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.client, self.first, self.halt = server.client(socket_timeout=1), None, threading.Event()
        self.start()

    def run(self):
        while self.first is None and not self.halt.is_set():
            try:
                self.client.set("first", 1)
                self.first = time.monotonic()
            except redis.RedisError:
                time.sleep(0.0005)


def one_failover(folder):
    """ms from the promotion being sent, from the election, and from the leader's end, to a synced write."""
    region = Region(folder, "--cache-appendfsync", "always")
    try:
        region.servers[0].client().set("before", 1)
        deadline = time.monotonic() + 40
        while not region.watchers.calm() and time.monotonic() < deadline:
            time.sleep(0.1)
        ears = [Ear(region.watchers, number) for number in range(3)]
        knockers = [Knocker(server) for server in region.servers[1:]]
        begin = time.monotonic()
        region.servers[0].kill()
        while all(knocker.first is None for knocker in knockers) and time.monotonic() < begin + 60:
            time.sleep(0.01)
        for knocker in knockers:
            knocker.halt.set()
        done = min(knocker.first for knocker in knockers if knocker.first is not None)
        time.sleep(0.5)                       # what the Sentinels say of it

        def heard(event):
            return max(ear.heard[event] for ear in ears if ear.heard.get(event, done) < done)
        return [1000 * (done - since) for since in
                (heard("+failover-state-send-slaveof-noone"), heard("+elected-leader"), begin)]
    finally:
        region.stop()


def bench_failover():
    """R5: the leader is killed; what passes until another one takes writes."""
    found = []
    for _ in range(max(ROUNDS, 5)):
        folder = tempfile.mkdtemp(prefix="tintype-bench-")
        try:
            found.append(one_failover(folder))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    sent, elected, killed = (sorted(each) for each in zip(*found))
    print(f"R5 from the promotion being sent to a synced write   median {statistics.median(sent):.0f} ms, "
          f"most {sent[-1]:.0f} ms\n"
          f"   from the Sentinels' election                      median {statistics.median(elected):.0f} ms, "
          f"most {elected[-1]:.0f} ms   goal 500 ms\n"
          f"   from the leader's end (of which 1,500 ms are down-after-milliseconds)   "
          f"median {statistics.median(killed):.0f} ms")


BENCHES = {"failover": bench_failover}
