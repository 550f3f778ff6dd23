"""Machines for tests of partitions: network namespaces on a bridge, whose links can be cut. For root only."""
import os
import subprocess

import pytest

from conftest import BINARY, Server


def ip(*words):
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=False)


class Net:
    """`count` machines, 10.77.x.1 and so on; this process is 10.77.x.254."""

    def __init__(self, count):
        self.tag = os.getpid() % 250
        self.bridge, self.names = f"ttb{self.tag}", [f"tt{self.tag}n{number}" for number in range(count)]
        if ip("link", "add", self.bridge, "type", "bridge").returncode != 0:
            pytest.skip("network namespaces need root")
        ip("addr", "add", self.address(253) + "/24", "dev", self.bridge)
        ip("link", "set", self.bridge, "up")
        for number, name in enumerate(self.names):
            ip("netns", "add", name)
            ip("link", "add", f"{name}v", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", f"{name}v", "master", self.bridge, "up")
            ip("-n", name, "addr", "add", self.address(number) + "/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")

    def address(self, number):
        return f"10.77.{self.tag}.{number + 1}"

    def cut(self, number):
        assert ip("link", "set", f"{self.names[number]}v", "down").returncode == 0

    def mend(self, number):
        assert ip("link", "set", f"{self.names[number]}v", "up").returncode == 0

    def within(self, number, *words):
        """The command line for a program on that machine."""
        return ["ip", "netns", "exec", self.names[number], *words]

    def run(self, number, *words):
        return subprocess.run(self.within(number, *words), capture_output=True, text=True, timeout=60, check=False)

    def remove(self):
        for name in self.names:
            ip("netns", "del", name)
        ip("link", "del", self.bridge)


class Machine(Server):
    """A server on one of them."""

    def __init__(self, net, number, folder, *options):
        super().__init__(folder, "--bind", "0.0.0.0", "--protected-mode", "no", *options)
        self.net, self.number, self.host, self.port = net, number, net.address(number), 6379

    def spawn(self, *more):
        args = [BINARY, "--port", str(self.port), "--dir", os.path.join(self.folder, "data"),
                "--segment-bytes", "4mb", "--body-memory", "128mb", *self.options, *more]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.net.within(self.number, *args), stdout=log, stderr=log)

    def client(self, **options):
        return super().client(**{"socket_timeout": 3, "socket_connect_timeout": 3, **options})
