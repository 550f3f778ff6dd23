"""Rows S1, S2, S4, S5 and S9 of the promises: the log against the disk itself."""
import json
import mmap
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
    job = {"size": "1g", "overwrite": 1, "time_based": 1, "runtime": 5} | options
    args = ["fio", "--name", name, "--directory", folder, "--output-format=json", "--ioengine=io_uring", "--direct=1"]
    args += [f"--{key}={value}" for key, value in job.items()]
    out = subprocess.run(args, capture_output=True, text=True, check=True).stdout
    return json.loads(out)["jobs"][0]


# A store whose segments are used again, and one that grows: its writes are the first into their place on the disk,
# of which the file system keeps a journal.
PUTS = {"over what died": (["--history-window", "0"], {}),
        "a growing store": ([], {"size": "2g", "overwrite": 0, "time_based": 0, "fallocate": "posix"})}


def bench_put():
    """S1: durable IMG.PUT of 100 KB, 64 clients, each reply after the sync, against fio's durable writes of the
    same size, 64 in flight, over what was written before or into a new file. Bytes per second."""
    for name, (options, job) in PUTS.items():
        ours, theirs = [], []
        for _ in range(ROUNDS):
            folder = tempfile.mkdtemp(prefix="tintype-bench-")
            server = Process("tintype", folder, "--appendfsync", "always", *options)
            server.load(command="imgput", value_bytes=IMAGE, connections=64, keys=500, requests=4000)
            ours.append(server.load(command="imgput", value_bytes=IMAGE, connections=64, keys=500,
                                    requests=20_000)["rps"] * IMAGE / 1e6)
            server.stop()
            written = fio(folder, "durable", rw="write", bs="100k", iodepth=64, sync="dsync", **job)["write"]
            theirs.append(written["bw_bytes"] / 1e6)
            shutil.rmtree(folder)
        ours, theirs = statistics.median(ours), statistics.median(theirs)
        print(f"S1 durable IMG.PUT of 100 KB, 64 clients, {name} {ours:>6.0f} {theirs:>10.0f} MB/s (fio)  "
              f"{100 * ours / theirs:>5.0f}%   goal 80%")


def bench_commit():
    """S2: a durable value of 4 KB, one client, p50, against a 4 KB append and fdatasync; and against the least that
    such a commit can be, one durable write of 8 KB over what is allocated. In turn, operation by operation, since
    the disk's own time changes from second to second."""
    folder = tempfile.mkdtemp(prefix="tintype-bench-")
    server = Process("tintype", folder, "--cache-appendfsync", "always")
    request = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4096\r\n" + b"x" * 4096 + b"\r\n"
    appended = os.open(os.path.join(folder, "appended"), os.O_WRONLY | os.O_CREAT)
    ready = os.open(os.path.join(folder, "ready"), os.O_WRONLY | os.O_CREAT)
    os.write(ready, bytes(64 << 20))
    os.fsync(ready)
    direct = os.open(os.path.join(folder, "ready"), os.O_WRONLY | os.O_DIRECT)
    page = mmap.mmap(-1, 8192)
    client = socket.create_connection(("127.0.0.1", server.port))

    def durable_set(_):
        client.sendall(request)
        assert client.recv(64) == b"+OK\r\n"

    def append(_):
        os.write(appended, request)
        os.fdatasync(appended)

    def overwrite(number):
        os.pwritev(direct, [page], number % 8192 * 8192, os.RWF_DSYNC)
    times = {durable_set: [], append: [], overwrite: []}
    for number in range(1500 * ROUNDS):
        for step, taken in times.items():
            start = time.perf_counter()
            step(number)
            taken.append((time.perf_counter() - start) * 1e6)
    client.close()
    for file in (appended, ready, direct):
        os.close(file)
    server.stop()
    shutil.rmtree(folder)
    ours, theirs, least = (statistics.median(taken) for taken in times.values())
    print(f"S2 durable commit of 4 KB, one client, p50     {ours:>10.0f} {theirs:>10.0f} us (append + fdatasync)  "
          f"{ours / theirs:>5.2f}x   goal 0.5x   (one durable write of 8 KB alone: {least:.0f} us, {least / theirs:.2f}x)")


def bench_read():
    """S4: cold IMG.GET of 64 KB, against fio's random reads of the same size, 16 in flight. With 16 clients some requests
    are always on their way between client and server, and not with the disk; with 64 the disk has enough to do."""
    folder = tempfile.mkdtemp(prefix="tintype-bench-")
    server = Process("tintype", folder, "--hot-memory", "1mb", "--appendfsync", "no")
    server.load(command="imgfill", value_bytes=64 << 10, keys=16_000, connections=16)
    ours, theirs = {16: [], 64: []}, []
    for _ in range(ROUNDS):
        for clients, rates in ours.items():
            rates.append(server.load(command="imgread", keys=16_000, connections=clients, requests=30_000)["rps"])
        theirs.append(fio(folder, "read", rw="randread", bs="68k", iodepth=16)["read"]["iops"])
    server.stop()
    shutil.rmtree(folder)
    theirs = statistics.median(theirs)
    for clients, rates in ours.items():
        rate = statistics.median(rates)
        print(f"S4 cold IMG.GET of 64 KB, {clients} clients           {rate:>10.0f} {theirs:>10.0f} GET/s (fio)  "
              f"{100 * rate / theirs:>5.0f}%   goal 90%")


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
