"""A follower in another region on conf/replica.conf: the link in TLS, every line of the file, promotion."""
import os
import re

import pytest
import redis

from certs import Authority
from conftest import Server, free_port, until
from images import png, put
from sentinels import CONF, adapted

LEADER_WORDS = ("--tls-auth-clients", "yes")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    made = Authority(str(tmp_path_factory.mktemp("certs")))
    made.server, made.replica = made.cert("leader", "DNS:localhost"), made.cert("replica")
    return made


@pytest.fixture
def leader(folder, authority):
    cert, key = authority.server
    os.makedirs(os.path.join(folder, "leader"))
    made = Server(os.path.join(folder, "leader"), "--tls-port", str(free_port()), "--tls-cert-file", cert,
                  "--tls-key-file", key, "--tls-ca-cert-file", authority.file, *LEADER_WORDS).start()
    made.tls_port = int(made.client().config_get("tls-port")["tls-port"])
    made.client().execute_command("ACL", "SETUSER", "replica", "on", ">a-long-secret", "+img.sync", "+replconf", "+ping")
    yield made
    made.stop()
    assert "TINTYPE BUG" not in made.log()


class Replica(Server):
    """A server on conf/replica.conf, in which only what is of this machine was changed."""

    def __init__(self, folder, leader, authority):
        super().__init__(folder)
        cert, key = authority.replica
        self.path = adapted("replica.conf", folder, {
            "port 6379": f"port {self.port}", "dir /var/lib/tintype": f"dir {folder}/data",
            "replicaof": f"replicaof localhost {leader.tls_port}",
            "tls-cert-file": f"tls-cert-file {cert}", "tls-key-file": f"tls-key-file {key}",
            "tls-ca-cert-file": f"tls-ca-cert-file {authority.file}"})

    def spawn(self, *more):
        import subprocess
        from conftest import BINARY
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([BINARY, self.path, "--segment-bytes", "4mb", "--body-memory", "128mb", *more],
                                            stdout=log, stderr=log)


@pytest.fixture
def replica(folder, leader, authority):
    os.makedirs(os.path.join(folder, "replica"))
    made = Replica(os.path.join(folder, "replica"), leader, authority).start()
    yield made
    made.stop()
    assert "TINTYPE BUG" not in made.log()


def link(server):
    return server.client().info("replication").get("master_link_status")


def in_sync(leader, replica):
    offset = leader.client().info("replication")["master_repl_offset"]
    until(lambda: replica.client().info("replication")["master_repl_offset"] >= offset)


def same(leader, replica):
    in_sync(leader, replica)
    until(lambda: replica.client().execute_command("IMG.DIGEST") == leader.client().execute_command("IMG.DIGEST"))


def test_every_line_of_the_file_holds(leader, replica):
    until(lambda: link(replica) == "up")
    with open(replica.path, encoding="utf-8") as file:
        lines = re.findall(r"^([a-z-]+) (.+)$", file.read(), re.M)
    shown = replica.client().config_get("*")
    assert len(lines) >= 20
    for name, value in lines:
        assert shown[name] == value, name
    seen = leader.client().info("replication")
    assert seen["connected_slaves"] == 1 and seen["slave0"]["state"] == "online"
    assert replica.client().info("replication")["slave_priority"] == 0


def test_region_follows_in_tls(leader, replica, photos):
    client = leader.client()
    for name, photo in photos.items():
        put(client, name, photo)
    client.hset("hash", mapping={f"f{i}": i for i in range(5000)})
    client.set("large", os.urandom(20 << 20))
    client.set("dies", "v", px=10_000_000)
    same(leader, replica)
    assert leader.client().info("tls")["tls_connections"] == 1      # the only one
    assert replica.client().info("tls")["tls_handshakes_connected"] >= 1
    assert "TLSv1" not in open(os.path.join(CONF, "replica.conf"), encoding="utf-8").read()
    replica.kill()
    for i in range(200):
        put(client, f"image{i}", png(20, i + 1))
    replica.start()
    same(leader, replica)


def test_link_goes_on_with_a_new_certificate(leader, replica, authority):
    leader.client().set("a", 1)
    same(leader, replica)
    cert, key = authority.cert("leader2", "DNS:localhost")
    assert leader.client().execute_command("CONFIG", "SET", "tls-cert-file", cert, "tls-key-file", key) == b"OK"
    leader.client().set("b", 2)
    same(leader, replica)
    leader.client().client_kill_filter(_type="slave")
    leader.client().set("c", 3)
    same(leader, replica)
    assert replica.client().mget("a", "b", "c") == [b"1", b"2", b"3"]


def test_leader_with_a_strange_certificate_is_not_followed(leader, replica, authority):
    until(lambda: link(replica) == "up")
    cert, key = authority.cert("elsewhere", "DNS:elsewhere.example.com")
    assert leader.client().execute_command("CONFIG", "SET", "tls-cert-file", cert, "tls-key-file", key) == b"OK"
    failed = replica.client().info("tls")["tls_handshakes_failed"]
    leader.client().client_kill_filter(_type="slave")
    until(lambda: replica.client().info("tls")["tls_handshakes_failed"] > failed)
    assert link(replica) == "down"
    replica.client().config_set("tls-replication-check-host", "no")
    until(lambda: link(replica) == "up")


def test_clear_text_is_not_followed(leader, replica):
    until(lambda: link(replica) == "up")
    replica.client().config_set("tls-replication", "no")
    until(lambda: link(replica) == "down")
    replica.client().config_set("tls-replication", "yes")
    until(lambda: link(replica) == "up")


def test_promotion(leader, replica):
    leader.client().set("k", "v")
    same(leader, replica)
    with pytest.raises(redis.ReadOnlyError):
        replica.client().set("k", "w")
    leader.kill()
    until(lambda: link(replica) == "down")
    assert replica.client().get("k") == b"v"
    assert replica.client().execute_command("REPLICAOF", "NO", "ONE") == b"OK"
    assert replica.client().set("k", "w")
    assert replica.client().info("replication")["role"] == "master"
