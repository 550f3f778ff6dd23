"""What the benches share: servers on processor 0, the load on processor 1, rows of figures."""
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

BUILD = os.path.abspath(os.environ.get("BUILD", "build"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
LOAD = os.path.join(BUILD, "bench/load")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """A server on processor 0 and a free port."""

    def __init__(self, name, folder, *options):
        self.name, self.port = name, free_port()
        if name == "tintype":
            args = [os.path.join(BUILD, "tintype-server"), "--port", str(self.port), "--dir",
                    os.path.join(folder, "tintype"), *options]
        elif name == "redis":
            args = ["redis-server", "--port", str(self.port), "--save", "", "--dir", folder, *options]
        else:
            conf = os.path.join(folder, "nginx.conf")
            with open(conf, "w", encoding="utf-8") as file:
                file.write(f"daemon off; pid {folder}/nginx.pid; error_log /dev/null; worker_processes 1;"
                           f"events {{ worker_connections 1024; }}"
                           f"http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;"
                           f"server {{ listen 127.0.0.1:{self.port}; root {folder}; }} }}")
            args = ["nginx", "-c", conf, "-p", folder]
        self.process = subprocess.Popen(["taskset", "-c", "0", *args], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        for _ in range(3000):
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as probe:
                    if name == "nginx":
                        break
                    probe.sendall(b"PING\r\n")
                    if probe.recv(64).startswith(b"+PONG"):
                        break
            except OSError:
                pass
            time.sleep(0.02)
        else:
            raise RuntimeError(f"{name} does not start")
        self.pid = self.process.pid
        if name == "nginx":
            children = open(f"/proc/{self.pid}/task/{self.pid}/children", encoding="utf-8").read().split()
            self.pid = int(children[0])

    def cli(self, *words, data=None):
        done = subprocess.run(["redis-cli", "-p", str(self.port), *words], input=data, capture_output=True, check=True)
        return done.stdout

    def load(self, **options):
        args = [LOAD, "--port", str(self.port), "--pid", str(self.pid)]
        for name, value in options.items():
            args += ["--" + name.replace("_", "-"), str(value)]
        out = subprocess.run(["taskset", "-c", "1", *args], capture_output=True, check=True, text=True)
        return json.loads(out.stdout)

    def info(self, field):
        match = re.search(rb"^" + field.encode() + rb":([\d.]+)", self.cli("info", "everything"), re.M)
        return float(match.group(1))

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Pair:
    """Tintype and a peer at the same time, measured in turn."""

    def __init__(self, peer="redis", *options):
        self.folder = tempfile.mkdtemp(prefix="tintype-bench-")
        self.tintype = Process("tintype", self.folder, *options)
        self.peer = Process(peer, self.folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.tintype.stop()
        self.peer.stop()
        shutil.rmtree(self.folder)

    def compare(self, figure, **options):
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(self.tintype.load(**options)[figure])
            theirs.append(self.peer.load(**options)[figure])
        return statistics.median(ours), statistics.median(theirs)


def row(name, ours, peer, goal, unit):
    ratio = peer / ours if ours else float("inf")
    print(f"{name:<42} {ours:>10.3f} {peer:>10.3f} {unit:<14} {ratio:>6.2f}x   goal {goal}", flush=True)
