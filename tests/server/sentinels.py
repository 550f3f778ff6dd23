"""A leader, its followers, and three real redis-sentinels on conf/sentinel.conf."""
import os
import re
import signal
import subprocess

import redis
from redis.sentinel import Sentinel

from conftest import Server, free_port, until

CONF = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../conf")
RIGHTS = ("+multi", "+slaveof", "+ping", "+exec", "+subscribe", "+config|rewrite", "+role", "+publish", "+info",
          "+client|setname", "+client|kill", "+script|kill")


def adapted(name, folder, changes, more=""):
    """A file of conf/ with some of its lines changed, which must be there: {"port 26379": "port 1234"}."""
    with open(os.path.join(CONF, name), encoding="utf-8") as file:
        text = file.read()
    for old, new in changes.items():
        assert re.search(f"^ *{re.escape(old)}", text, re.M), f"{name} has no line '{old}'"
        text = re.sub(f"^( *){re.escape(old)}.*$", lambda match, new=new: match[1] + new, text, flags=re.M)
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text + more)
    return path


class Watchers:
    """Three redis-sentinels over a leader that listens on `port`."""

    def __init__(self, folder, port, down_after_ms=1500, address="127.0.0.1", more=""):
        self.ports, self.processes = [free_port() for _ in range(3)], []
        for number, own in enumerate(self.ports):
            home = os.path.join(folder, f"sentinel{number}")
            os.makedirs(home)
            path = adapted("sentinel.conf", home, {
                "port 26379": f"port {own}", "dir /tmp": f"dir {home}",
                "sentinel monitor": f"sentinel monitor tintype {address} {port} 2",
                "sentinel down-after-milliseconds": f"sentinel down-after-milliseconds tintype {down_after_ms}",
                "sentinel failover-timeout": "sentinel failover-timeout tintype 5000"}, more)
            with open(os.path.join(home, "log"), "wb") as log:
                self.processes.append(subprocess.Popen(["redis-sentinel", path], stdout=log, stderr=log))
        until(lambda: all(self.sees(own) for own in self.ports), 30)

    def sees(self, own):
        """Does this one know the other two, and both followers?"""
        try:
            state = redis.Redis(port=own).sentinel_master("tintype")
        except redis.ConnectionError:
            return False
        return state["num-other-sentinels"] == 2 and state["num-slaves"] == 2 and "down" not in state["flags"]

    def client(self, **options):
        return Sentinel([("127.0.0.1", port) for port in self.ports], socket_timeout=1, **options)

    def leader_port(self, own=None):
        return redis.Redis(port=own or self.ports[0]).sentinel_get_master_addr_by_name("tintype")[1]

    def stop(self):
        for process in self.processes:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.wait(timeout=20)


class Region:
    """Three servers, the first of which leads, and who watches them."""

    def __init__(self, folder, *options, **watching):
        self.servers = []
        for number in range(3):
            home = os.path.join(folder, f"server{number}")
            os.makedirs(home)
            server = Server(home, *options)
            if number > 0:
                server.options += ["--replicaof", f"127.0.0.1 {self.servers[0].port}"]
            self.servers.append(server.start())
        self.servers[0].client().execute_command("ACL", "SETUSER", "sentinel", "on", ">a-long-secret", "allchannels", *RIGHTS)
        until(lambda: all(self.follows(server) for server in self.servers[1:]))
        self.watchers = Watchers(folder, self.servers[0].port, **watching)

    @staticmethod
    def follows(server):
        return server.client().info("replication").get("master_link_status") == "up"

    def role(self, server):
        try:
            return server.client().info("replication")["role"]
        except (redis.ConnectionError, redis.TimeoutError):
            return "gone"

    def new_leader(self, old, seconds=30):
        """Waits until another one leads and the Sentinels agree on it."""
        def agreed():
            ports = {self.watchers.leader_port(own) for own in self.watchers.ports}
            return len(ports) == 1 and old.port not in ports and ports.pop()
        port = until(agreed, seconds)
        leader = next(server for server in self.servers if server.port == port)
        until(lambda: self.role(leader) == "master")
        return leader

    def stop(self):
        self.watchers.stop()
        for server in self.servers:
            if server.process.poll() is None:
                server.process.send_signal(signal.SIGCONT)
            server.stop()
            assert "TINTYPE BUG" not in server.log()
