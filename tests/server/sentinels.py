"""A leader, its followers, and three real redis-sentinels on conf/sentinel.conf."""
import os
import re
import signal
import subprocess

import redis
from redis.sentinel import Sentinel

from conftest import Server, free_port, until
from namespaces import Machine

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


class SecureServer(Server):
    """One that speaks nothing but TLS, to its leader, too."""

    def __init__(self, folder, authority, *options):
        cert, key = authority.server
        super().__init__(folder, *options)
        self.authority = authority
        self.options += ["--port", "0", "--tls-port", str(self.port), "--tls-cert-file", cert, "--tls-key-file", key,
                         "--tls-ca-cert-file", authority.file, "--tls-replication", "yes"]

    def client(self, **options):
        return super().client(**secure(self.authority), **options)


def secure(authority):
    """Of a redis-py client."""
    cert, key = authority.client
    return {"ssl": True, "ssl_ca_certs": authority.file, "ssl_certfile": cert, "ssl_keyfile": key}


class Watchers:
    """Three redis-sentinels over a leader at address and port; each on a machine of `net`, if there is one;
    with an `authority` all of it is in TLS."""

    def __init__(self, folder, port, down_after_ms=1500, address="127.0.0.1", net=None, authority=None):
        self.authority = authority
        self.places = [(net.address(number), 26379) if net else ("127.0.0.1", free_port()) for number in range(3)]
        self.processes = []
        for number, (_, own) in enumerate(self.places):
            home = os.path.join(folder, f"sentinel{number}")
            os.makedirs(home)
            changes = {
                "port 26379": f"port {own}", "dir /tmp": f"dir {home}",
                "bind": "bind 0.0.0.0" if net else "bind 127.0.0.1",
                "sentinel monitor": f"sentinel monitor tintype {address} {port} 2",
                "sentinel down-after-milliseconds": f"sentinel down-after-milliseconds tintype {down_after_ms}",
                "sentinel failover-timeout": "sentinel failover-timeout tintype 5000"}
            if authority:
                cert, key = authority.client
                changes |= {"port 26379": "", "# port 0": "port 0", "# tls-port": f"tls-port {own}",
                            "# tls-cert-file": f"tls-cert-file {cert}", "# tls-key-file": f"tls-key-file {key}",
                            "# tls-ca-cert-file": f"tls-ca-cert-file {authority.file}",
                            "# tls-auth-clients": "tls-auth-clients optional", "# tls-replication": "tls-replication yes"}
            path = adapted("sentinel.conf", home, changes)
            words = ["redis-sentinel", path]
            with open(os.path.join(home, "log"), "wb") as log:
                self.processes.append(subprocess.Popen(net.within(number, *words) if net else words, stdout=log, stderr=log))
        until(lambda: all(self.sees(number) for number in range(3)), 30)

    def ask(self, number):
        host, port = self.places[number]
        return redis.Redis(host=host, port=port, socket_timeout=3, socket_connect_timeout=3, **self.login())

    def login(self):
        return secure(self.authority) if self.authority else {}

    def sees(self, number):
        """Does this one know the other two, and both followers?"""
        try:
            state = self.ask(number).sentinel_master("tintype")
        except redis.ConnectionError:
            return False
        return state["num-other-sentinels"] == 2 and state["num-slaves"] == 2 and "down" not in state["flags"]

    def calm(self):
        """Does everyone know of each follower that it is one? Before, a Sentinel that still takes
        the former leader for one would undo its promotion."""
        states = [state for number in range(3) for state in self.ask(number).sentinel_slaves("tintype")]
        return len(states) == 6 and all(state["role-reported"] == "slave" and state["master-link-status"] == "ok" and
                                        state["flags"] == "slave" for state in states)

    def client(self, **options):
        return Sentinel(self.places, sentinel_kwargs={"socket_timeout": 1, **self.login()}, **self.login(), **options)

    def leader(self, number):
        """(address, port) of who leads, as this one has it."""
        host, port = self.ask(number).sentinel_get_master_addr_by_name("tintype")
        return host.decode(), port

    def stop(self):
        for process in self.processes:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.wait(timeout=20)


class Region:
    """Three servers, the first of which leads, and who watches them; each on a machine of `net`, if there is one."""

    def __init__(self, folder, *options, net=None, authority=None):
        self.servers = []
        for number in range(3):
            home = os.path.join(folder, f"server{number}")
            os.makedirs(home)
            if authority:
                server = SecureServer(home, authority, *options)
            else:
                server = Machine(net, number, home, *options) if net else Server(home, *options)
            if number > 0:
                server.options += ["--replicaof", f"{self.servers[0].host} {self.servers[0].port}"]
            self.servers.append(server.start())
        self.servers[0].client().execute_command("ACL", "SETUSER", "sentinel", "on", ">a-long-secret", "allchannels", *RIGHTS)
        until(lambda: all(self.follows(server) for server in self.servers[1:]))
        self.watchers = Watchers(folder, self.servers[0].port, address=self.servers[0].host, net=net,
                                 authority=authority)

    @staticmethod
    def follows(server):
        return server.client().info("replication").get("master_link_status") == "up"

    def role(self, server):
        try:
            return server.client().info("replication")["role"]
        except (redis.ConnectionError, redis.TimeoutError):
            return "gone"

    def new_leader(self, old, watchers=(0, 1, 2)):
        """Waits until another one leads and the Sentinels agree on it."""
        def agreed():
            places = {self.watchers.leader(number) for number in watchers}
            return len(places) == 1 and (old.host, old.port) not in places and places.pop()
        place = until(agreed, 30)
        leader = next(server for server in self.servers if (server.host, server.port) == place)
        until(lambda: self.role(leader) == "master")
        return leader

    def stop(self):
        self.watchers.stop()
        for server in self.servers:
            if server.process.poll() is None:
                server.process.send_signal(signal.SIGCONT)
            server.stop()
            assert "TINTYPE BUG" not in server.log()
