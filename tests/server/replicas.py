"""Leaders and followers for the tests of replication, a wire between them that can be cut, and what
two servers hold, compared."""
import os
import socket
import threading

import redis

from conftest import Server, until


def start_pair(folder, *options, wire=None, leader_options=(), follower_options=()):
    """A leader and a follower of it, in sync."""
    leader = Server(make(folder, "leader"), *options, *leader_options).start()
    port = leader.port if wire is None else wire.listen(leader.port)
    follower = Server(make(folder, "follower"), *options, "--replicaof", f"127.0.0.1 {port}",
                      *follower_options).start()
    until(lambda: link_is_up(follower))
    return leader, follower


def make(folder, name):
    path = os.path.join(folder, name)
    os.makedirs(path, exist_ok=True)
    return path


def info(server):
    return server.client().info("replication")


def link_is_up(server):
    try:
        return info(server).get("master_link_status") == "up"
    except redis.ConnectionError:         # it begins anew
        return False


def offset(server):
    return info(server)["master_repl_offset"]


def in_sync(leader, follower, seconds=30):
    """Waits until the follower has applied all that the leader has."""
    until(lambda: offset(follower) >= offset(leader), seconds)


def value_of(client, key, kind):
    if kind == b"string":
        return client.get(key)
    if kind == b"list":
        return client.lrange(key, 0, -1)
    if kind == b"hash":
        return client.hgetall(key)
    if kind == b"set":
        return client.smembers(key)
    if kind == b"zset":
        return client.zrange(key, 0, -1, withscores=True)
    fields = client.execute_command("IMG.INFO", key)
    fields = {fields[i]: fields[i + 1] for i in range(0, len(fields), 2)}
    for name in (b"accessed", b"stored-bytes", b"tier"):
        fields.pop(name, None)
    return client.execute_command("IMG.GET", key), str(sorted(fields.items(), key=str))


def content(server, databases=(0,)):
    """Everything that a client can see: {(db, key): (type, value, deadline)}."""
    found = {}
    for db in databases:
        client = server.client(db=db)
        for key in client.scan_iter(count=1000):
            kind = client.type(key)
            found[db, key] = kind, value_of(client, key, kind), client.execute_command(
                "PEXPIRETIME", key)
    return found


def assert_same(leader, follower, databases=(0,)):
    in_sync(leader, follower)
    a, b = content(leader, databases), content(follower, databases)
    assert a.keys() == b.keys(), (sorted(a.keys() - b.keys())[:5], sorted(b.keys() - a.keys())[:5])
    for key, what in a.items():
        assert b[key] == what, (key, b[key][1][1:], what[1][1:])
    return len(a)


class Wire:
    """A TCP proxy. cut() breaks all connections and refuses new ones until heal()."""

    def __init__(self):
        self.pairs, self.is_cut, self.passed = [], False, 0
        self.limit, self.flip_at, self.stalled = None, None, threading.Event()
        self.stalled.set()
        self.door = socket.socket()
        self.door.bind(("127.0.0.1", 0))
        self.door.listen(16)

    def listen(self, port):
        self.target = port
        threading.Thread(target=self.accept, daemon=True).start()
        return self.door.getsockname()[1]

    def accept(self):
        while True:
            try:
                near, _ = self.door.accept()
                if self.is_cut:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                continue
            self.pairs.append((near, far))
            for source, sink, counts in (near, far, False), (far, near, True):
                threading.Thread(target=self.pump, args=(source, sink, counts), daemon=True).start()

    def pump(self, source, sink, counts):
        try:
            while data := source.recv(65536):
                self.stalled.wait()
                if counts:
                    before, self.passed = self.passed, self.passed + len(data)
                    if self.flip_at is not None and before <= self.flip_at < self.passed:
                        at = self.flip_at - before
                        data = data[:at] + bytes([data[at] ^ 4]) + data[at + 1:]
                        self.flip_at = None
                    if self.limit is not None and self.passed >= self.limit:
                        data = data[:len(data) // 2]
                        self.limit = None
                        sink.sendall(data)
                        break
                sink.sendall(data)
        except OSError:
            pass
        for end in source, sink:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        self.is_cut = True
        for pair in self.pairs:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        self.pairs = []

    def heal(self):
        self.is_cut = False
