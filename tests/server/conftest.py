"""The fixture of all server tests: a real server on a free port in a directory of its own."""
import filecmp
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest
import redis

from twins import Twins
from wire import Wire

BUILD = os.environ.get("BUILD", os.path.join(os.path.dirname(__file__), "../../build"))
BINARY = os.path.join(BUILD, "tintype-server")


GIVEN = set()


def free_port():
    """Nobody listens there, and it was not given before: a server may begin to listen later."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port not in GIVEN:
            GIVEN.add(port)
            return port


def until(condition, seconds=20):
    """Waits for a condition instead of sleeping for a while; returns what it returned."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, "the condition did not come true"
        time.sleep(0.01)


class Server:
    """One tintype-server process; start, kill, restart."""

    host = "127.0.0.1"

    def __init__(self, folder, *options):
        self.folder, self.options = folder, list(options)
        self.port = free_port()
        self.log_path = os.path.join(folder, "log")
        self.process = None

    def start(self, *more):
        self.spawn(*more)
        until(self.ready)
        return self

    def spawn(self, *more):
        args = [BINARY, "--port", str(self.port), "--dir", os.path.join(self.folder, "data"),
                "--segment-bytes", "4mb", "--body-memory", "128mb", *self.options, *more]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(args, stdout=log, stderr=log)

    def ready(self):
        assert self.process.poll() is None, self.log()
        try:
            return self.client().ping()
        except redis.AuthenticationError:     # is a ConnectionError: it comes first
            return True
        except redis.ConnectionError:
            return False

    def client(self, **options):
        return redis.Redis(**{"host": self.host, "port": self.port, "socket_timeout": 30, **options})

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                code = self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            assert code == 0, self.log()

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="tintype-test-") as path:
        yield path


@pytest.fixture
def server(folder):
    made = Server(folder, "--warm-dir", os.path.join(folder, "warm")).start()
    yield made
    made.stop()
    assert "TINTYPE BUG" not in made.log()


@pytest.fixture
def make_server(folder):
    made = []

    def make(*options, start=True):
        one = Server(folder, *options)
        made.append(one)
        return one.start() if start else one
    yield make
    for one in made:
        one.stop()
        assert "TINTYPE BUG" not in one.log()


@pytest.fixture
def client(server):
    return server.client()


PHOTOS = ["/usr/share/backgrounds/mate/nature", "/usr/share/backgrounds"]


@pytest.fixture(scope="session")
def photos():
    """Real photographs of a Debian package: {name: bytes}, JPEG."""
    found = {}
    for top in PHOTOS:
        for where, _, names in os.walk(top):
            for name in sorted(names):
                path = os.path.join(where, name)
                if name.endswith(".jpg") and not os.path.islink(path) and len(found) < 8:
                    with open(path, "rb") as file:
                        found[name] = file.read()
    assert len(found) >= 4, "the photographs of mate-backgrounds are not installed"
    return found


def answers(port):
    """Does somebody who speaks Redis's protocol listen there?"""
    try:
        with Wire(port) as wire:
            return wire.command("PING") == b"+PONG"
    except OSError:
        return False


@pytest.fixture
def peer():
    """Port of a real redis-server, to compare with."""
    port = free_port()
    process = subprocess.Popen(["redis-server", "--port", str(port), "--save", ""], stdout=subprocess.DEVNULL)
    until(lambda: answers(port))
    yield port
    process.terminate()
    process.wait()


@pytest.fixture
def twins(server, peer):
    """The same commands to a server and to redis-server."""
    made = Twins(server.port, peer)
    yield made
    made.close()


@pytest.fixture(scope="session")
def node_modules():
    """Clients and what builds on them, by name from the npm registry, kept under build/."""
    home = os.path.join(BUILD, "node")
    os.makedirs(home, exist_ok=True)
    here = os.path.dirname(os.path.abspath(__file__))
    wanted, have = os.path.join(here, "package.json"), os.path.join(home, "package.json")
    if not os.path.exists(have) or not filecmp.cmp(wanted, have, shallow=False):
        shutil.copy(wanted, have)
        done = subprocess.run(["npm", "install", "--no-audit", "--no-fund"], cwd=home,
                              capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
    return home
