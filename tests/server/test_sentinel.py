"""Three real redis-sentinels keep a leader and two followers going; clients find the leader by them."""
import os
import shutil
import subprocess
import threading
import time

import pytest
import redis
from conftest import Server, free_port, until
from redis.sentinel import Sentinel
from replicas import assert_same, info, link_is_up, make

pytestmark = pytest.mark.skipif(shutil.which("redis-sentinel") is None, reason="no redis-sentinel here")

SENTINEL = """port {port}
dir {folder}
sentinel monitor photos 127.0.0.1 {leader} 2
sentinel down-after-milliseconds photos 1000
sentinel failover-timeout photos 6000
sentinel parallel-syncs photos 2
"""


class Watch:
    """Servers, each with a config file that CONFIG REWRITE keeps, and three sentinels."""

    def __init__(self, folder):
        self.servers = [self.server(folder, i) for i in range(3)]
        self.leader = self.servers[0]
        for one in self.servers[1:]:
            one.client().execute_command("REPLICAOF", "127.0.0.1", self.leader.port)
            one.client().config_rewrite()
        for one in self.servers[1:]:
            until(lambda one=one: link_is_up(one))
        self.ports = [free_port() for _ in range(3)]
        self.processes = [self.sentinel(folder, port) for port in self.ports]
        self.sentinel_client = Sentinel([("127.0.0.1", port) for port in self.ports],
                                        socket_timeout=1)
        until(self.all_is_known)

    def server(self, folder, i):
        path = make(folder, f"server{i}")
        config = os.path.join(path, "tintype.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write("cache-appendfsync always\n")
        one = Server(path, "--analysis", "no")
        one.config = config
        one.spawn = lambda *more: Server_spawn(one, *more)
        return one.start()

    def sentinel(self, folder, port):
        path = make(folder, f"sentinel{port}")
        config = os.path.join(path, "sentinel.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(SENTINEL.format(port=port, folder=path, leader=self.leader.port))
        with open(os.path.join(path, "log"), "ab") as log:
            return subprocess.Popen(["redis-sentinel", config], stdout=log, stderr=log)

    def all_is_known(self):
        for port in self.ports:
            client = redis.Redis(port=port, socket_timeout=2)
            try:
                state = client.sentinel_master("photos")
            except redis.RedisError:
                return False
            if state["num-slaves"] != 2 or state["num-other-sentinels"] != 2:
                return False
        return True

    def leader_port(self):
        try:
            return self.sentinel_client.discover_master("photos")[1]
        except redis.RedisError:
            return 0

    def settled(self, port):
        """Everybody who lives follows the one at this port."""
        for one in self.servers:
            if one.process.poll() is not None or one.port == port:
                continue
            state = info(one)
            if state["role"] != "slave" or state["master_port"] != port or \
                    state["master_link_status"] != "up":
                return False
        return True

    def stop(self):
        for process in self.processes:
            process.terminate()
            process.wait()
        for one in self.servers:
            one.stop()
            assert "TINTYPE BUG" not in one.log()


def Server_spawn(one, *more):
    from conftest import BINARY
    args = [BINARY, one.config, "--port", str(one.port), "--dir", os.path.join(one.folder, "data"),
            "--segment-bytes", "4mb", "--body-memory", "128mb", *one.options, *more]
    with open(one.log_path, "ab") as log:
        one.process = subprocess.Popen(args, stdout=log, stderr=log)


@pytest.fixture
def watch(folder):
    made = Watch(folder)
    yield made
    made.stop()


def test_a_killed_leader_is_replaced_and_its_clients_carry_on(watch):
    stop, acknowledged, gaps = threading.Event(), {}, []

    def write():
        client = watch.sentinel_client.master_for("photos", socket_timeout=1)
        n, last = 0, time.monotonic()
        while not stop.is_set():
            n += 1
            try:
                client.set(f"k{n}", n)
                if client.wait(1, 500) >= 1:
                    acknowledged[f"k{n}"] = n
                now = time.monotonic()
                gaps.append(now - last)
                last = now
            except redis.RedisError:
                time.sleep(0.02)
    writer = threading.Thread(target=write)
    writer.start()
    until(lambda: len(acknowledged) > 200)
    watch.leader.kill()
    until(lambda: watch.leader_port() not in (0, watch.leader.port), 30)
    before = len(acknowledged)
    until(lambda: len(acknowledged) > before + 200, 30)
    port = watch.leader_port()
    watch.leader.start()
    until(lambda: watch.settled(port), 60)
    stop.set()
    writer.join()
    new = next(one for one in watch.servers if one.port == port)
    for one in watch.servers:
        if one is not new:
            assert assert_same(new, one) > 400
    client = new.client()
    for key, value in acknowledged.items():
        assert int(client.get(key)) == value
    assert max(gaps) < 20
    assert info(new)["replication_epoch"] == 2


def test_a_failover_that_is_asked_for(watch):
    client = watch.sentinel_client.master_for("photos", socket_timeout=1)
    for i in range(100):
        client.set(f"k{i}", i)
    assert client.wait(2, 5000) == 2
    redis.Redis(port=watch.ports[0]).execute_command("SENTINEL", "FAILOVER", "photos")
    until(lambda: watch.leader_port() not in (0, watch.leader.port), 30)
    port = watch.leader_port()
    until(lambda: watch.settled(port), 30)
    new = next(one for one in watch.servers if one.port == port)
    for one in watch.servers:
        if one is not new:
            assert assert_same(new, one) == 100
