"""Rows R1 to R4 of the promises: a leader and a follower on loopback, one processor each."""
import os
import random
import re
import shutil
import statistics
import subprocess
import tempfile
import threading
import time

from common import ROUNDS, Process
from latency import Client, png

VALUE, CATCH_UP_MIB = 100 << 10, 512
OPTIONS = ("--cache-appendfsync", "always", "--analysis", "no", "--history-window", "0")


def info(server, name):
    text = server.cli("INFO", "replication").decode()
    return next((line.partition(":")[2].strip() for line in text.splitlines() if line.startswith(name + ":")), "")


def start(folder, *options):
    os.makedirs(folder, exist_ok=True)
    return Process("tintype", folder, *OPTIONS, *options)


def follow(folder, leader):
    """Its processor is the other one."""
    made = start(folder, "--replicaof", f"127.0.0.1 {leader.port}")
    subprocess.run(["taskset", "-apc", "1", str(made.pid)], stdout=subprocess.DEVNULL, check=True)
    while info(made, "master_link_status") != "up":
        time.sleep(0.01)
    return made


def in_sync(leader, follower):
    while int(info(follower, "slave_repl_offset")) < int(info(leader, "master_repl_offset")):
        time.sleep(0.01)


def lags(leader, count, value):
    """From the reply of a SET to that of WAITAOF 1 1, in ms."""
    client, found = Client(leader), []
    for i in range(count):
        client.ask(b"SET", b"lag%d" % (i % 100), value)
        begin = time.perf_counter()
        client.ask(b"WAITAOF", b"1", b"1", b"0")
        found.append((time.perf_counter() - begin) * 1000)
    return found


def set_one(client, number):
    client.ask(b"SET", b"load%d" % (number % 1000), b"x" * 4096)


def put_one(client, number):
    client.ask(b"IMG.PUT", b"load-image%d" % (number % 100), png(number))


def rate(leader, seconds, request=set_one):
    client, done, end = Client(leader), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        request(client, done)
        done += 1
    return done / seconds


def processor_us(leader):
    with open(f"/proc/{leader.pid}/stat", encoding="utf-8") as file:
        words = file.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) * 1_000_000 // os.sysconf("SC_CLK_TCK")


def cost(leader, seconds, request):
    """Requests a second, and the leader's processor time for each, in us."""
    before = processor_us(leader)
    per_second = rate(leader, seconds, request)
    return per_second, (processor_us(leader) - before) / (per_second * seconds)


def bench_cost(leader, name, request):
    """Turn by turn, so that what else goes on meets both; the follower's disk is memory."""
    home, alone, with_one = tempfile.mkdtemp(prefix="tintype-bench-", dir="/dev/shm"), [], []
    try:
        for _ in range(2 * ROUNDS):
            alone.append(cost(leader, 1.5, request))
            follower = follow(home, leader)
            in_sync(leader, follower)
            with_one.append(cost(leader, 1.5, request))
            follower.process.terminate()
            follower.process.wait()
    finally:
        shutil.rmtree(home, ignore_errors=True)
    rates = [statistics.median(found[0] for found in each) for each in (alone, with_one)]
    times = [statistics.median(found[1] for found in each) for each in (alone, with_one)]
    print(f"   {name}, synced, one client   alone {rates[0]:.0f}/s, with a follower {rates[1]:.0f}/s: "
          f"{100 * (1 - rates[1] / rates[0]):.0f}% less   goal at most 10%\n"
          f"   the leader's processor time for each        alone {times[0]:.0f} us, with a follower {times[1]:.0f} us")


def half_load(leader, per_second, stop):
    client, number, begin = Client(leader), 0, time.monotonic()
    while not stop.is_set():
        client.ask(b"SET", b"load%d" % (number % 1000), b"x" * 4096)
        number += 1
        rest = begin + number / per_second - time.monotonic()
        if rest > 0:
            time.sleep(rest)


def bench_lag(folder):
    leader = start(os.path.join(folder, "a"))
    rate(leader, 4)                           # its first segments are made
    bench_cost(leader, "SET of 4 KiB", set_one)
    bench_cost(leader, "IMG.PUT of 100 KiB", put_one)
    follower = follow(os.path.join(folder, "b"), leader)
    with_one = statistics.median(rate(leader, 2) for _ in range(ROUNDS))
    stop = threading.Event()
    load = threading.Thread(target=half_load, args=(leader, with_one / 2, stop))
    load.start()
    found = sorted(lags(leader, 2000, b"x" * 4096))
    stop.set()
    load.join()
    print(f"R1 lag at half load, durable on the follower   p50 {found[len(found) // 2]:.2f} ms, "
          f"p99 {found[len(found) * 99 // 100]:.2f} ms   goal p99 5 ms")
    return leader, follower


def bench_memory(leader, follower):
    follower.process.send_signal(19)          # SIGSTOP
    client = Client(leader)
    for i in range(3000):
        client.ask(b"SET", b"slow%d" % i, random.randbytes(VALUE))
    text = info(leader, "slave0")
    memory = int(text.rpartition("memory=")[2])
    follower.process.send_signal(18)
    print(f"R2 leader's memory for a follower that does not read, {3000 * VALUE >> 20} MiB behind   "
          f"{memory / (1 << 20):.1f} MiB   goal 8 MiB")
    in_sync(leader, follower)


def received(follower):
    text = follower.cli("INFO", "replication").decode()
    return int(next(line.split(":")[1] for line in text.splitlines() if line.startswith("replication_received_bytes")))


def bench_absence(leader, folder):
    """The follower is away, half of what it has is overwritten, the cleaner works."""
    home = os.path.join(folder, "c")
    follower = follow(home, leader)
    in_sync(leader, follower)
    follower.process.terminate()
    follower.process.wait()
    client, changed = Client(leader), 1500 * VALUE
    for i in range(0, 3000, 2):
        client.ask(b"SET", b"slow%d" % i, random.randbytes(VALUE))
    follower = follow(home, leader)
    in_sync(leader, follower)
    got = received(follower)
    print(f"R3 after an absence: changed {changed >> 20} MiB, sent {got / (1 << 20):.1f} MiB, bodies sent again "
          f"{max(0, got - changed * 1.01) / (1 << 20):.1f} MiB   goal 0")
    follower.process.terminate()
    follower.process.wait()


def made_ready(home, segments):
    """A server whose segments are made already."""
    server = start(home, "--spare-segments", str(segments))
    folder = os.path.join(home, "tintype")

    def written():
        with open(f"/proc/{server.pid}/io", encoding="utf-8") as file:
            return int(re.search(r"^write_bytes: (\d+)", file.read(), re.M)[1])
    while sum(name.endswith(".seg") for name in os.listdir(folder)) < segments:
        time.sleep(0.05)
    before = -1
    while written() != before:                # zeroed, all of them
        before = written()
        time.sleep(0.5)
    subprocess.run(["taskset", "-apc", "1", str(server.pid)], stdout=subprocess.DEVNULL, check=True)
    return server


def disk_rate(path):
    begin = time.monotonic()
    subprocess.run(["dd", "if=/dev/zero", f"of={path}", "bs=1M", f"count={CATCH_UP_MIB}", "oflag=direct,dsync"],
                   stderr=subprocess.DEVNULL, check=True)
    took = time.monotonic() - begin
    os.unlink(path)
    return CATCH_UP_MIB / took


def catch_up(leader, follower):
    begin = time.monotonic()
    follower.cli("REPLICAOF", "127.0.0.1", str(leader.port))
    while info(follower, "master_link_status") != "up":
        time.sleep(0.001)
    in_sync(leader, follower)
    return CATCH_UP_MIB / (time.monotonic() - begin)


def bench_catch_up(folder, memory):
    """In turn: an empty follower whose segments are made, one that makes them meanwhile, and dd, which fills
    a new file. The leader has another disk, as it would in another region: `memory`."""
    leader, found = start(os.path.join(memory, "d")), {"ready": [], "new": [], "dd": []}
    client = Client(leader)
    for i in range((CATCH_UP_MIB << 20) // VALUE):
        client.ask(b"SET", b"key%d" % i, random.randbytes(VALUE))
    for turn in range(max(5, ROUNDS)):
        for name in found:
            if name == "dd":
                found[name].append(disk_rate(os.path.join(folder, "peer")))
                continue
            home = os.path.join(folder, f"{name}{turn}")
            follower = made_ready(home, CATCH_UP_MIB // 64 + 2 if name == "ready" else 2)
            found[name].append(catch_up(leader, follower))
            follower.stop()
            shutil.rmtree(home)
    middle = {name: statistics.median(each) for name, each in found.items()}
    for name, said in ("ready", "its segments are made"), ("new", "it makes them, too"):
        share = [100 * ours / disk for ours, disk in zip(found[name], found["dd"])]
        print(f"R4 catch-up of {CATCH_UP_MIB} MiB, {said}   {middle[name]:.0f} MiB/s, dd oflag=direct,dsync "
              f"{middle['dd']:.0f} MiB/s: {statistics.median(share):.0f}% ({min(share):.0f} to {max(share):.0f}%)   "
              f"goal 60%")
    follower = follow(os.path.join(folder, "e"), leader)
    in_sync(leader, follower)
    return leader, follower


def bench_promotion(leader, follower):
    """What a Sentinel sends to promote, and a synced write behind it."""
    leader.process.send_signal(9)
    leader.process.wait()
    client = Client(follower)
    begin = time.perf_counter()
    for words in ((b"SLAVEOF", b"NO", b"ONE"), (b"CLIENT", b"KILL", b"TYPE", b"normal"), (b"SET", b"first", b"1")):
        client.ask(*words)
    print(f"R5 from the decision to a synced write   {(time.perf_counter() - begin) * 1000:.1f} ms   goal 500 ms")


def bench_replication():
    """R1 to R5: lag, memory of a slow follower, nothing sent twice, catching up, taking over."""
    folder, made = tempfile.mkdtemp(prefix="tintype-bench-"), []
    memory = tempfile.mkdtemp(prefix="tintype-bench-", dir="/dev/shm")
    try:
        made += bench_lag(folder)
        bench_memory(*made)
        bench_absence(made[0], folder)
        made += bench_catch_up(folder, memory)
        bench_promotion(*made[2:])
    finally:
        for server in made:
            server.process.send_signal(18)
            server.process.terminate()
            server.process.wait()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(memory, ignore_errors=True)


BENCHES = {"replication": bench_replication}
