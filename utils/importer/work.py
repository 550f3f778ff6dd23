"""The import itself: one walk feeds workers, each with a connection of its own."""
import collections
import queue
import threading
import time

from importer.client import Connection, ConnectionTrouble, ErrorReply
from importer.describe import describe
from importer.etag import State, find_hasher, said_digest
from importer.find import candidates
from importer.progress import Progress

RETRIES_MAX = 100
COMMANDS_IN_FLIGHT = 256


class Tally:
    """What happened so far; every change under one lock."""

    def __init__(self):
        self.lock = threading.Lock()
        self.found = self.found_bytes = 0
        self.scanned = False
        self.put = self.put_bytes = self.skipped = self.skipped_bytes = self.refused_bytes = 0
        self.refused, self.problems = [], {}

    def add(self, name, size):
        with self.lock:
            setattr(self, name, getattr(self, name) + 1)
            setattr(self, name + "_bytes", getattr(self, name + "_bytes") + size)

    def refuse(self, candidate, why):
        with self.lock:
            self.refused.append((candidate.path, why))
            self.refused_bytes += candidate.size

    def problem(self, path, why):
        with self.lock:
            self.problems[path] = why

    def done(self):
        with self.lock:
            return (self.put + self.skipped + len(self.refused),
                    self.put_bytes + self.skipped_bytes + self.refused_bytes)


class Task:
    """One image on its way: asked for, then put unless the server has it."""

    def __init__(self, candidate):
        self.candidate, self.said = candidate, None
        self.asked, self.there = False, None      # `there`: the ETag under its key
        self.tries, self.not_before = 0, 0.0


class Worker:
    """One connection and the files that it sends."""

    def __init__(self, shared):
        self.shared, self.todo, self.busy = shared, collections.deque(), 0
        self.connection = None

    def run(self):
        try:
            self.connection = Connection(self.shared.options)
            self.work()
        except ConnectionTrouble as error:
            self.shared.fail(str(error), 2)
        except BaseException as error:
            self.shared.fail(f"internal error: {error!r}", 1)
            raise
        finally:
            if self.connection:
                self.connection.close()

    def work(self):
        ended = False
        while not self.shared.stop.is_set():
            if self.todo:
                self.step(self.todo.popleft())
                continue
            if ended and self.busy == 0:
                return
            item = None
            try:
                item = None if ended else self.shared.queue.get_nowait()
                if item is None and not ended:
                    ended = True
                    self.shared.queue.put(None)       # for the next worker
            except queue.Empty:
                pass
            if item is not None:
                self.step(Task(item))
            else:
                self.connection.pump(0.02)

    def wait_for_room(self, cost):
        connection, limit = self.connection, self.shared.bytes_in_flight_max
        while connection.waiting and not self.shared.stop.is_set() and (
                connection.bytes_in_flight + cost > limit
                or len(connection.waiting) >= COMMANDS_IN_FLIGHT):
            connection.pump(0.2)

    def step(self, task):
        if task.not_before > time.monotonic():
            self.todo.append(task)
            self.connection.pump(0.02)
        elif task.asked:
            self.decide(task)
        else:
            self.wait_for_room(0)
            self.busy += 1
            self.connection.send(["IMG.INFO", task.candidate.key, "etag"],
                                 lambda reply: self.on_info(task, reply))

    def on_info(self, task, reply):
        self.busy -= 1
        if isinstance(reply, ErrorReply) and not reply.startswith("WRONGTYPE"):
            self.failed(task, reply)
            return
        if isinstance(reply, list) and len(reply) == 2 and reply[1] is not None:
            task.there = reply[1].decode()
        task.asked = True
        self.todo.append(task)

    def decide(self, task):
        """Skips or puts an image of which we know what the server has."""
        shared, candidate = self.shared, task.candidate
        known = shared.state.get(candidate)
        task.said = said_digest(candidate, shared.tags)
        wanted = task.there is None or shared.options.force or \
            (known is not None and known[0] != task.said)
        if not wanted and known is not None and known[1] == task.there:
            self.skip(task)
            return
        if candidate.size > shared.bytes_max:
            self.refuse_size(candidate)
            return
        self.wait_for_room(candidate.size)
        try:
            with open(candidate.path, "rb") as file:
                data = file.read(shared.bytes_max + 1)
        except OSError as error:
            shared.tally.refuse(candidate, error.strerror)
            return
        if len(data) > shared.bytes_max:
            self.refuse_size(candidate)
        elif not wanted and shared.hasher and shared.hasher(data) == task.there:
            self.skip(task)
        else:
            self.put(task, data)

    def refuse_size(self, candidate):
        self.shared.tally.refuse(candidate, f"TOOLARGE {candidate.size} bytes; the server takes "
                                 f"{self.shared.bytes_max}")

    def skip(self, task):
        self.shared.tally.add("skipped", task.candidate.size)
        if not self.shared.options.dry_run:
            self.shared.state.put(task.candidate, task.said, task.there)

    def put(self, task, data):
        shared, candidate = self.shared, task.candidate
        words = describe(candidate, data, shared.tags, shared.tally.problem)
        if shared.options.dry_run:
            shared.progress.line("would put " + candidate.key + "  " + " ".join(
                word.decode(errors="replace") if isinstance(word, bytes) else str(word)
                for word in words))
            shared.tally.add("put", candidate.size)
            return
        self.busy += 1
        self.connection.send(["IMG.PUT", candidate.key, *words],
                             lambda reply: self.on_put(task, reply), data)

    def on_put(self, task, reply):
        self.busy -= 1
        if isinstance(reply, ErrorReply):
            self.failed(task, reply)
            return
        self.shared.tally.add("put", task.candidate.size)
        self.shared.state.put(task.candidate, task.said, reply.decode())

    def failed(self, task, reply):
        code = reply.split(" ", 1)[0]
        if code in ("OVERLOADED", "LOADING") and task.tries < RETRIES_MAX:
            task.tries += 1
            task.not_before = time.monotonic() + min(0.05 * task.tries, 1)
            self.todo.append(task)
            return
        self.shared.tally.refuse(task.candidate, str(reply))
        if code in ("NOAUTH", "NOPERM", "READONLY", "MASTERDOWN", "DISKFULL"):
            self.shared.fail(f"no image can be put: {reply}", 1)      # nor any other


class Importer:
    """What the workers share, and the two walks: one feeds them, one counts ahead."""

    def __init__(self, options):
        self.options, self.tally = options, Tally()
        self.tags = [tag for tag in options.tags.split(",") if tag.strip()]
        self.state, self.hasher = State(options.state), find_hasher()
        self.queue, self.stop = queue.Queue(256), threading.Event()
        self.trouble, self.code = None, 0
        self.bytes_in_flight_max = max(options.batch_bytes // options.jobs, 1)
        self.bytes_max, self.progress = 0, Progress(self.tally, options.quiet)

    def fail(self, why, code):
        if self.trouble is None:
            self.trouble, self.code = why, code
        self.stop.set()

    def ask_limits(self):
        """Larger files would only be sent to be refused."""
        connection = Connection(self.options)
        limits = []
        for name in ("image-max-bytes", "proto-max-bulk-len"):
            reply = connection.ask(["CONFIG", "GET", name])
            if isinstance(reply, list) and len(reply) == 2:
                limits.append(int(reply[1]))
        connection.close()
        self.bytes_max = min(limits, default=128 << 20)

    def count(self):
        for candidate in candidates(self.options.folders, "", lambda *_: None):
            if self.stop.is_set():
                return
            self.tally.found += 1
            self.tally.found_bytes += candidate.size
        self.tally.scanned = True

    def feed(self):
        for candidate in candidates(self.options.folders, self.options.prefix,
                                    self.tally.problem):
            self.offer(candidate)
            if self.stop.is_set():
                return
        self.offer(None)

    def offer(self, item):
        while not self.stop.is_set():
            self.progress.show()
            try:
                self.queue.put(item, timeout=0.1)
                return
            except queue.Full:
                pass

    def run(self):
        self.ask_limits()
        self.progress.start()
        threads = [threading.Thread(target=self.count, daemon=True)]
        for _ in range(self.options.jobs):
            threads.append(threading.Thread(target=Worker(self).run, daemon=True))
        for thread in threads:
            thread.start()
        try:
            self.feed()
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.1)
                    self.progress.show()
        finally:
            self.stop.set()
            for thread in threads:
                thread.join(10)
            self.progress.end()
            self.state.close()
