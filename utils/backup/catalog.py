"""A folder of backups: the copies of segments, which backups share, and one list per backup.

  store                        names the data directory that all of it comes from
  segments/NAME@NONCE          a copy of one segment
  backups/20261122T101500Z.json  which segments one backup consists of, with their checksums
"""
import calendar
import json
import os
import time

from backup.copying import sync_folder
from backup.segments import BackupError, STORE_FILE, store_id

FORMAT = 1
STAMP = "%Y%m%dT%H%M%SZ"


class Catalog:
    def __init__(self, folder):
        self.folder = folder
        self.segments = os.path.join(folder, "segments")
        self.backups = os.path.join(folder, "backups")

    def create(self, data):
        """For backups of this data directory, and of no other."""
        for path in (self.folder, self.segments, self.backups):
            os.makedirs(path, mode=0o700, exist_ok=True)
        path = os.path.join(self.folder, STORE_FILE)
        if not os.path.exists(path):
            self.write(path, bytes.fromhex(store_id(data)))
        if store_id(self.folder) != store_id(data):
            raise BackupError(f"{self.folder} holds backups of another store")

    def write(self, path, data):
        with open(path + ".part", "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(path + ".part", path)
        sync_folder(os.path.dirname(path))

    def list(self):
        """The backups, oldest first. What cannot be read is an error, not a backup less."""
        try:
            found = sorted(name for name in os.listdir(self.backups) if name.endswith(".json"))
        except OSError as error:
            raise BackupError(f"{self.folder} holds no backups: {error.strerror}") from None
        return [self.load(name) for name in found]

    def load(self, name):
        try:
            with open(os.path.join(self.backups, name), encoding="utf-8") as file:
                backup = json.load(file)
            if backup["format"] != FORMAT:
                raise BackupError(f"{name} was written by another version")
            for segment in backup["segments"]:
                for field in ("name", "tier", "file", "size", "crc32"):
                    _ = segment[field]
            backup["name"] = name[:-len(".json")]
            return backup
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BackupError(f"{name} is damaged: {error}") from None

    def add(self, segments, begun, ended):
        stamp = time.strftime(STAMP, time.gmtime(begun))
        while os.path.exists(os.path.join(self.backups, stamp + ".json")):
            stamp = time.strftime(STAMP, time.gmtime(calendar.timegm(time.strptime(stamp, STAMP)) + 1))
        backup = {"format": FORMAT, "begun_ms": int(begun * 1000), "ended_ms": int(ended * 1000),
                  "segments": segments}
        sync_folder(self.segments)
        self.write(os.path.join(self.backups, stamp + ".json"), json.dumps(backup, indent=1).encode())
        return stamp

    def stored_bytes(self, name):
        """What a copy takes on the disk: holes take nothing. 0 if it is lost."""
        try:
            return os.stat(os.path.join(self.segments, name)).st_blocks * 512
        except FileNotFoundError:
            return 0

    def keep(self, count):
        """Removes all but the last `count` backups, and the segments that no other needs."""
        backups = self.list()
        for backup in backups[:-count]:
            os.unlink(os.path.join(self.backups, backup["name"] + ".json"))
        sync_folder(self.backups)
        needed = {segment["file"] for backup in backups[-count:] for segment in backup["segments"]}
        removed = 0
        for name in os.listdir(self.segments):
            if name not in needed:
                os.unlink(os.path.join(self.segments, name))
                removed += 1
        return removed
