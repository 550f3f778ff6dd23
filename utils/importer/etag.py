"""ETags: computed where a library is there, remembered for files that have not changed."""
import ctypes
import hashlib
import os
import sqlite3
import threading
import time


def find_hasher():
    """XXH3-128 in the server's spelling, or None where no library has it."""
    try:
        import xxhash
        return lambda data: xxhash.xxh3_128_hexdigest(data)
    except (ImportError, AttributeError):
        pass

    class Hash(ctypes.Structure):
        _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]

    try:
        function = ctypes.CDLL("libxxhash.so.0").XXH3_128bits
    except (OSError, AttributeError):
        return None
    function.restype, function.argtypes = Hash, [ctypes.c_char_p, ctypes.c_size_t]

    def digest(data):
        value = function(data, len(data))
        return f"{value.high:016x}{value.low:016x}"
    return digest


class State:
    """ETags of files that have not changed, and a digest of what was said of them."""

    def __init__(self, path):
        self.lock, self.saved_at = threading.Lock(), time.monotonic()
        if path != ":memory:":
            os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        self.db = sqlite3.connect(path, check_same_thread=False, isolation_level="DEFERRED")
        self.db.execute("PRAGMA synchronous = OFF")
        self.db.execute("CREATE TABLE IF NOT EXISTS file (path BLOB, key TEXT, size INTEGER,"
                        " mtime_ns INTEGER, said TEXT, etag TEXT, PRIMARY KEY (path, key))")

    @staticmethod
    def place_of(candidate):
        return os.fsencode(os.path.realpath(candidate.path)), os.fsencode(candidate.key).hex()

    def get(self, candidate):
        """(said, etag), or None if the file is new or has changed."""
        with self.lock:
            return self.db.execute(
                "SELECT said, etag FROM file WHERE path=? AND key=? AND size=? AND mtime_ns=?",
                (*self.place_of(candidate), candidate.size, candidate.mtime_ns)).fetchone()

    def put(self, candidate, said, etag):
        with self.lock:
            self.db.execute("INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?)",
                            (*self.place_of(candidate), candidate.size, candidate.mtime_ns,
                             said, etag))
            if time.monotonic() - self.saved_at > 1:
                self.db.commit()
                self.saved_at = time.monotonic()

    def close(self):
        with self.lock:
            self.db.commit()
            self.db.close()


def said_digest(candidate, tags):
    """Changes when a sidecar or --tags does."""
    marks = [tags]
    for path in candidate.sidecars:
        try:
            stat = os.stat(path)
            marks.append((path, stat.st_size, stat.st_mtime_ns))
        except OSError:
            marks.append((path, None))
    return hashlib.blake2b(repr(marks).encode("utf-8", "surrogateescape"),
                           digest_size=12).hexdigest()
