"""Real redis-sentinels: the leader is killed, stopped, told to go; clients carry on; nothing acknowledged is lost."""
import json
import os
import shutil
import signal
import subprocess
import threading
import time

import pytest
import redis

from certs import Authority
from conftest import until
from namespaces import Net
from sentinels import Region

HERE = os.path.dirname(os.path.abspath(__file__))
GONE = (redis.ConnectionError, redis.TimeoutError, redis.ResponseError)


@pytest.fixture
def region(folder):
    made = Region(folder)
    yield made
    made.stop()


class Writer(threading.Thread):
    """Counts up through redis-py's Sentinel client; remembers what a follower has acknowledged, too."""

    def __init__(self, region, replicas=1):
        super().__init__(daemon=True)
        self.client = region.watchers.client().master_for("tintype", socket_timeout=1)
        self.kept, self.errors, self.replicas = [], 0, replicas
        self.halt = threading.Event()
        self.start()

    def run(self):
        number = 0
        while not self.halt.is_set():
            number += 1
            try:
                pipe = self.client.pipeline(transaction=False)
                pipe.set(f"n{number}", number)
                pipe.execute_command("WAIT", self.replicas, 200)
                done, replicas = pipe.execute()
                if done and replicas >= self.replicas:
                    self.kept.append(number)
            except GONE:
                self.errors += 1
                self.client.connection_pool.disconnect()
                time.sleep(0.02)

    def goes_on(self, more=50, seconds=30):
        count = len(self.kept)
        until(lambda: len(self.kept) >= count + more, seconds)

    def stop(self):
        self.halt.set()
        self.join(timeout=30)


def lost(writer, leader):
    """Numbers that were acknowledged and are not there."""
    found = leader.client().mget([f"n{number}" for number in writer.kept])
    return [number for number, value in zip(writer.kept, found) if value != str(number).encode()]


def all_follow(region, leader):
    """Everybody else follows the new leader and holds the same."""
    others = [server for server in region.servers if server is not leader]

    def settled():
        for server in others:
            try:
                info = server.client().info("replication")
            except redis.RedisError:
                return False
            if info["role"] != "slave" or (info["master_host"], info["master_port"]) != (leader.host, leader.port) or info["master_link_status"] != "up":
                return False
        return True
    until(settled, 40)
    offset = leader.client().info("replication")["master_repl_offset"]
    until(lambda: all(server.client().info("replication")["master_repl_offset"] >= offset for server in others), 30)
    digest = leader.client().execute_command("IMG.DIGEST")
    for server in others:
        until(lambda server=server: server.client().execute_command("IMG.DIGEST") == digest, 20)


def test_leader_killed_under_load(region):
    old, writer = region.servers[0], Writer(region)
    writer.goes_on()
    old.kill()
    leader = region.new_leader(old)
    writer.goes_on()
    old.start()                           # it is told that it follows now
    writer.goes_on()
    writer.stop()
    assert lost(writer, leader) == []
    all_follow(region, leader)
    assert lost(writer, old) == []
    with pytest.raises(redis.ReadOnlyError):
        old.client().set("k", "v")


def test_leader_stopped_and_awakened(region):
    old, writer = region.servers[0], Writer(region)
    writer.goes_on()
    old.process.send_signal(signal.SIGSTOP)
    leader = region.new_leader(old)
    writer.goes_on()
    old.process.send_signal(signal.SIGCONT)
    writer.goes_on()
    writer.stop()
    assert lost(writer, leader) == []
    all_follow(region, leader)


def test_failover_on_request(region):
    """Until it is told, a leader that lives goes on with the follower that was not chosen: only what both have
    is certain."""
    old, writer = region.servers[0], Writer(region, replicas=2)
    writer.goes_on()
    until(region.watchers.calm, 40)           # they ask every ten seconds
    assert until(lambda: asked(region.watchers.ask(0)), 20)
    leader = region.new_leader(old)
    writer.goes_on()
    writer.stop()                             # digests are of one moment
    assert lost(writer, leader) == []
    all_follow(region, leader)


def asked(watcher):
    try:
        return watcher.execute_command("SENTINEL", "FAILOVER", "tintype")
    except redis.ResponseError:           # one is under way, or nobody is fit yet
        return False


def test_sentinel_reads_what_it_needs(region):
    client = region.watchers.client()
    assert client.discover_master("tintype")[1] == region.servers[0].port
    ports = {server.port for server in region.servers[1:]}
    until(lambda: {port for _, port in client.discover_slaves("tintype")} == ports)
    region.servers[0].client().set("k", "v")
    reader = client.slave_for("tintype", socket_timeout=5)
    assert until(lambda: reader.get("k") == b"v")
    for state in region.watchers.ask(0).sentinel_slaves("tintype"):
        assert state["master-link-status"] == "ok" and state["slave-priority"] == 100
    watched = [line["user"] for line in region.servers[0].client().client_list()]
    assert watched.count("sentinel") >= 6         # two connections of each, as the user of the file


def test_ioredis_carries_on(region, node_modules):
    shutil.copy(os.path.join(HERE, "ioredis_sentinel.mjs"), node_modules)
    process = subprocess.Popen(["node", "ioredis_sentinel.mjs", *(str(port) for _, port in region.watchers.places)], cwd=node_modules,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline().strip() == "writing"
    region.servers[0].kill()
    leader = region.new_leader(region.servers[0])
    said, errors = process.communicate("\n", timeout=60)
    result = json.loads(said.splitlines()[-1])
    assert process.returncode == 0 and result["after"] >= 50, said + errors
    found = leader.client().mget([f"io{number}" for number in result["kept"]])
    assert found == [str(number).encode() for number in result["kept"]]
    region.servers[0].start()


def test_all_of_it_in_tls(folder):
    authority = Authority(os.path.join(folder, "certs"))
    authority.server, authority.client = authority.cert("server"), authority.cert("client")
    region = Region(folder, authority=authority)
    try:
        old, writer = region.servers[0], Writer(region)
        writer.goes_on()
        old.kill()
        leader = region.new_leader(old)
        writer.goes_on()
        writer.stop()
        assert lost(writer, leader) == []
        assert leader.client().info("server")["listener0"]["name"] == "tls" and leader.client().info("tls")["tls_connections"] > 3
        old.start()
    finally:
        region.stop()


@pytest.fixture
def net():
    made = Net(3)
    yield made
    made.remove()


def test_leader_cut_off_from_the_others(net, folder):
    """It takes writes no longer than min-replicas-max-lag; the majority goes on; healed, all hold the same."""
    region = Region(folder, "--min-replicas-to-write", "1", "--min-replicas-max-lag", "2", net=net)
    try:
        old, writer = region.servers[0], Writer(region)
        writer.goes_on()
        net.cut(0)
        alone = []

        def refused():
            said = net.run(0, "redis-cli", "set", f"alone{len(alone)}", "v").stdout
            alone.append(said)
            return said.startswith("NOREPLICAS")
        until(refused, 20)
        leader = region.new_leader(old, watchers=(1, 2))
        writer.goes_on()
        assert net.run(0, "redis-cli", "role").stdout.startswith("master")
        assert net.run(0, "redis-cli", "set", "k", "v").stdout.startswith("NOREPLICAS")
        net.mend(0)
        until(lambda: region.role(old) == "slave", 40)
        writer.goes_on()
        writer.stop()
        all_follow(region, leader)
        assert lost(writer, leader) == [] and lost(writer, old) == []
        assert leader.client().exists(*(f"alone{number}" for number in range(len(alone)))) == 0
        taken = [said for said in alone if said == "OK\n"]
        put_aside = old.client().execute_command("IMG.QUARANTINE", "LIST")
        assert bool(put_aside) == bool(taken)
    finally:
        net.mend(0)
        region.stop()
