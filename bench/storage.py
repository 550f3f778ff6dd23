"""Rows S1, S2, S4, S5 and S9 of the promises: the log against the disk itself."""
import json
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

from common import BUILD, ROUNDS, Process, row

IMAGE = 100 << 10


def fio(folder, name, **options):
    """One fio job on a file of its own that was written before; its JSON result."""
    args = ["fio", "--name", name, "--directory", folder, "--output-format=json", "--ioengine=io_uring", "--direct=1",
            "--size=1g", "--overwrite=1", "--time_based", "--runtime=5"]
    args += [f"--{key}={value}" for key, value in options.items()]
    out = subprocess.run(args, capture_output=True, text=True, check=True).stdout
    return json.loads(out)["jobs"][0]


def bench_put():
    """S1: durable IMG.PUT of 100 KB, 64 clients, each reply after the sync, against fio's durable writes of the
    same size, 64 in flight. Bytes per second."""
    ours, theirs = [], []
    for _ in range(ROUNDS):
        folder = tempfile.mkdtemp(prefix="tintype-bench-")
        server = Process("tintype", folder, "--appendfsync", "always")
        server.load(command="imgput", value_bytes=IMAGE, connections=64, keys=500, requests=4000)
        ours.append(server.load(command="imgput", value_bytes=IMAGE, connections=64, keys=500,
                                requests=20_000)["rps"] * IMAGE / 1e6)
        server.stop()
        theirs.append(fio(folder, "durable", rw="write", bs="100k", iodepth=64, sync="dsync")["write"]["bw_bytes"] / 1e6)
        shutil.rmtree(folder)
    ours, theirs = statistics.median(ours), statistics.median(theirs)
    print(f"S1 durable IMG.PUT of 100 KB, 64 clients       {ours:>10.0f} {theirs:>10.0f} MB/s (fio)  "
          f"{100 * ours / theirs:>5.0f}%   goal 80%")


def commit_us(count, commit):
    times = []
    for i in range(count):
        start = time.perf_counter()
        commit(i)
        times.append((time.perf_counter() - start) * 1e6)
    return statistics.median(times)


def bench_commit():
    """S2: a durable value of 4 KB, one client, p50, against a 4 KB append and fdatasync."""
    folder = tempfile.mkdtemp(prefix="tintype-bench-")
    server = Process("tintype", folder, "--cache-appendfsync", "always")
    ours, theirs = [], []
    request = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4096\r\n" + b"x" * 4096 + b"\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        def durable_set(_):
            client.sendall(request)
            assert client.recv(64) == b"+OK\r\n"
        for _ in range(ROUNDS):
            ours.append(commit_us(2000, durable_set))
            file = os.open(os.path.join(folder, "appended"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

            def append(_, file=file):
                os.write(file, request)
                os.fdatasync(file)
            theirs.append(commit_us(2000, append))
            os.close(file)
    server.stop()
    shutil.rmtree(folder)
    ours, theirs = statistics.median(ours), statistics.median(theirs)
    print(f"S2 durable commit of 4 KB, one client, p50     {ours:>10.0f} {theirs:>10.0f} us (append + fdatasync)  "
          f"{ours / theirs:>5.2f}x   goal 0.5x")


def bench_read():
    """S4: cold IMG.GET of 64 KB, 16 in flight, against fio's random reads of the same size and depth."""
    folder = tempfile.mkdtemp(prefix="tintype-bench-")
    server = Process("tintype", folder, "--hot-memory", "1mb", "--appendfsync", "no")
    server.load(command="imgfill", value_bytes=64 << 10, keys=16_000, connections=16)
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(server.load(command="imgread", keys=16_000, connections=16, requests=30_000)["rps"])
        theirs.append(fio(folder, "read", rw="randread", bs="68k", iodepth=16)["read"]["iops"])
    server.stop()
    shutil.rmtree(folder)
    ours, theirs = statistics.median(ours), statistics.median(theirs)
    print(f"S4 cold IMG.GET of 64 KB, 16 in flight         {ours:>10.0f} {theirs:>10.0f} GET/s (fio)  "
          f"{100 * ours / theirs:>5.0f}%   goal 90%")


def bench_memory():
    """S5: memory per image in the directory, the key apart, counted over IMAGES small images (500,000)."""
    count = int(os.environ.get("IMAGES", "500000"))
    folder = tempfile.mkdtemp(prefix="tintype-bench-")
    server = Process("tintype", folder, "--appendfsync", "no")
    before = server.info("memory_values") + server.info("memory_directory")
    server.load(command="imgfill", value_bytes=128, keys=count, pipeline=16)
    each = (server.info("memory_values") + server.info("memory_directory") - before) / count
    print(f"S5 directory, bytes per image, key apart       {each - len('key:0000000000'):>10.1f}   goal 64   "
          f"(search index besides: {server.info('memory_search') / count:.1f})")
    server.stop()
    shutil.rmtree(folder)


def bench_checksum():
    """S9: CRC-32C of 64 KiB, against the plain loop over the processor's instruction (bench/checksum.c)."""
    out = subprocess.run([os.path.join(BUILD, "bench/checksum")], capture_output=True, text=True, check=True).stdout
    ours, theirs = (float(word) for word in out.split())
    row("S9 CRC-32C of 64 KiB", 64 / ours, 64 / theirs, "2x", "us")


BENCHES = {"put": bench_put, "commit": bench_commit, "read": bench_read, "memory": bench_memory,
           "checksum": bench_checksum}
