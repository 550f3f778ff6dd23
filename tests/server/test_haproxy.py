"""HAProxy on conf/haproxy.cfg: writes reach whoever leads, reads the followers."""
import os
import signal
import socket
import subprocess

import pytest
import redis

from conftest import free_port, until
from replicas import start_pair
from sentinels import adapted


@pytest.fixture
def balanced(folder):
    """A leader, a follower, and HAProxy's two ports before them."""
    leader, follower = start_pair(folder)
    writes, reads = free_port(), free_port()
    path = adapted("haproxy.cfg", folder, {
        "bind 127.0.0.1:6400": f"bind 127.0.0.1:{writes}", "bind 127.0.0.1:6401": f"bind 127.0.0.1:{reads}",
        "server one": f"server one 127.0.0.1:{leader.port} check", "server two": f"server two 127.0.0.1:{follower.port} check"},
        f"\nglobal\n    stats socket {folder}/stats\n")
    checked = subprocess.run(["haproxy", "-c", "-f", path], capture_output=True, text=True, check=False)
    assert checked.returncode == 0 and "WARNING" not in checked.stderr, checked.stderr
    process = subprocess.Popen(["haproxy", "-f", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: states(folder) == {("leader", "one"): "UP", ("leader", "two"): "DOWN",
                                     ("followers", "one"): "DOWN", ("followers", "two"): "UP"})
    yield leader, follower, writes, reads
    process.terminate()
    process.wait(timeout=20)
    for server in (leader, follower):
        if server.process.poll() is None:
            server.process.send_signal(signal.SIGCONT)
        server.stop()
        assert "TINTYPE BUG" not in server.log()


def states(folder):
    """{(backend, server): "UP" or "DOWN"}"""
    with socket.socket(socket.AF_UNIX) as asked:
        if asked.connect_ex(os.path.join(folder, "stats")) != 0:
            return None
        asked.sendall(b"show stat\n")
        lines = [line.split(",") for line in asked.makefile().read().splitlines()]
    return {(line[0], line[1]): line[17] for line in lines if len(line) > 17 and line[1] in ("one", "two")}


def reached(port):
    """The port of the server behind HAProxy's; None: nobody is there."""
    try:
        with redis.Redis(port=port, socket_timeout=2) as client:
            return client.info("server")["tcp_port"]
    except (redis.ConnectionError, redis.TimeoutError):
        return None


def test_writes_go_to_the_leader_and_reads_to_the_follower(balanced):
    leader, follower, writes, reads = balanced
    until(lambda: reached(writes) == leader.port and reached(reads) == follower.port)
    assert redis.Redis(port=writes).set("k", "v")
    until(lambda: redis.Redis(port=reads).get("k") == b"v")
    with pytest.raises(redis.ReadOnlyError):
        redis.Redis(port=reads).set("k", "w")
    follower.kill()
    until(lambda: reached(reads) is None)
    assert reached(writes) == leader.port


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
def test_writes_follow_the_leader_that_was_chosen(balanced, end):
    leader, follower, writes, _ = balanced
    until(lambda: reached(writes) == leader.port)
    kept = redis.Redis(port=writes, single_connection_client=True, socket_timeout=20)
    assert kept.set("k", "v")
    leader.process.send_signal(end)
    follower.client().execute_command("REPLICAOF", "NO", "ONE")
    until(lambda: reached(writes) == follower.port)
    with pytest.raises(redis.ConnectionError):            # closed, so that the client connects anew
        kept.connection.retry = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
        kept.execute_command("SET", "k", "w")
    assert redis.Redis(port=writes).set("k", "w")


def test_binary_values_and_large_images_pass(balanced, photos):
    _, _, writes, _ = balanced
    until(lambda: reached(writes))
    client, body = redis.Redis(port=writes), os.urandom(8 << 20)
    client.set(b"\0\r\n", body)
    assert client.get(b"\0\r\n") == body
    for name, photo in photos.items():
        client.execute_command("IMG.PUT", name, photo)
        assert client.execute_command("IMG.GET", name) == photo
