"""T1 to T4: what a request costs in TLS, beside redis-server's own TLS, and beside the same in the clear."""
import os
import re
import shutil
import socket
import ssl
import statistics
import subprocess
import tempfile

from common import ROUNDS, Process, free_port, row

TICKS = os.sysconf("SC_CLK_TCK")
CERT = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
CASES = [("set", 1, 3, 100_000), ("get", 1, 3, 100_000), ("set", 16, 3, 1_000_000), ("get", 16, 3, 1_000_000),
         ("set", 1, 256 << 10, 3_000), ("get", 1, 256 << 10, 5_000)]


class Secure(Process):
    """A server with a plain port and one for TLS."""

    def __init__(self, name, folder, cert):
        self.tls_port, self.cert = free_port(), cert
        super().__init__(name, folder, "--tls-port", str(self.tls_port), "--tls-cert-file", cert + ".crt",
                         "--tls-key-file", cert + ".key", "--tls-ca-cert-file", cert + ".crt", "--tls-auth-clients", "no")

    def cpu_s(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
            words = file.read().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / TICKS

    def benchmark(self, secure, test, pipeline, size, requests):
        """CPU microseconds of the server for a request; requests a second."""
        port, words = self.port, []
        if secure:
            port, words = self.tls_port, ["--tls", "--cacert", self.cert + ".crt"]
        before = self.cpu_s()
        done = subprocess.run(["taskset", "-c", "1", "redis-benchmark", *words, "-p", str(port), "-t", test, "-q", "-c",
                               "50", "-P", str(pipeline), "-d", str(size), "-n", str(requests), "-r", "20"],
                              capture_output=True, text=True, check=True)
        rate = float(re.findall(r"([\d.]+) requests per second", done.stdout)[-1])
        return (self.cpu_s() - before) * 1e6 / requests, rate


def bench_tls():
    """T1 to T3: GET and SET through redis-benchmark --tls (TLS 1.3); T4: a new connection."""
    folder = tempfile.mkdtemp(prefix="tintype-bench-")
    cert = os.path.join(folder, "cert")
    subprocess.run(["openssl", *CERT, "-out", cert + ".crt", "-keyout", cert + ".key"], check=True, capture_output=True)
    servers = [Secure(name, folder, cert) for name in ("tintype", "redis")]
    for test, pipeline, size, requests in CASES:
        secure, rates, clear = ([], []), ([], []), []
        for _ in range(ROUNDS):
            for at, server in enumerate(servers):
                cpu, rate = server.benchmark(True, test, pipeline, size, requests)
                secure[at].append(cpu)
                rates[at].append(rate)
            clear.append(servers[0].benchmark(False, test, pipeline, size, requests)[0])
        name = "T3" if size > 3 else "T1" if pipeline == 1 else "T2"
        ours, theirs = (statistics.median(times) for times in secure)
        row(f"{name} TLS {test} of {size}, pipeline {pipeline}", ours, theirs, "1.0x", "us CPU/req")
        ours, theirs = (statistics.median(each) for each in rates)
        print(f"   {ours:.0f} and {theirs:.0f} requests a second ({ours / theirs:.2f}x); in the clear "
              f"{statistics.median(clear):.3f} us", flush=True)
    bench_handshake(servers)
    for server in servers:
        server.stop()
    shutil.rmtree(folder)


def bench_handshake(servers):
    """A thousand connections, one after the other, each with one PING."""
    made = ssl.create_default_context(cafile=servers[0].cert + ".crt")
    times = ([], [])
    for _ in range(ROUNDS):
        for at, server in enumerate(servers):
            before = server.cpu_s()
            for _ in range(1000):
                with socket.create_connection(("127.0.0.1", server.tls_port)) as plain, \
                        made.wrap_socket(plain, server_hostname="localhost") as stream:
                    stream.sendall(b"PING\r\n")
                    stream.recv(64)
            times[at].append((server.cpu_s() - before) * 1e3)
    row("T4 TLS, a new connection", *(statistics.median(each) for each in times), "1.0x", "us CPU")


BENCHES = {"tls": bench_tls}
