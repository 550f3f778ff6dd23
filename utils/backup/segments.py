"""Segment files of a data directory, as src/store/block.h lays them out."""
import os
import struct
from dataclasses import dataclass

SECTOR = 4096
HEADER = struct.Struct("<8sII16sIIIIQq")
STORE_FILE = "store"


class BackupError(Exception):
    """Why a backup or a restoration did not take place."""


@dataclass(frozen=True)
class Segment:
    """One file at one moment of its life: recycling changes the nonce."""
    name: str
    tier: str
    store: str
    number: int
    nonce: int
    size: int

    @property
    def kept_as(self):
        return f"{self.name}@{self.nonce:08x}"


def read_header(fd, name, tier):
    """The segment that a descriptor shows now; None: it was not finished yet."""
    size = os.fstat(fd).st_size
    data = os.pread(fd, HEADER.size, 0)
    if len(data) < HEADER.size:
        return None
    magic, _, _, store, number, nonce, _, _, _, _ = HEADER.unpack(data)
    if magic != b"TTSEGMNT":
        return None
    return Segment(name, tier, store.hex(), number, nonce, size)


def store_id(folder):
    """Hex, from the file that names a data directory."""
    try:
        with open(os.path.join(folder, STORE_FILE), "rb") as file:
            data = file.read()
    except OSError as error:
        raise BackupError(f"{folder} holds no store: {error.strerror}") from None
    return data.hex()


def names(folder):
    return sorted(name for name in os.listdir(folder) if name.endswith(".seg"))
