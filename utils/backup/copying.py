"""Copies of segment files that are being written, without asking the one who writes them.

A sealed segment never changes until it is recycled, which changes its nonce. The others grow at
their end. A copy of one that grew meanwhile is made again sector by sector from the end to the
start: what stands in it at some place was then written before anything that was read at a
smaller offset, so the copy is a prefix of the log with at most a torn tail, which recovery cuts.
Segments are copied from the youngest to the oldest for the same reason.
"""
import os
import time
import zlib

from backup.segments import SECTOR, read_header

PIECE = 8 << 20
SETTLED_S = 2.0


def checksum(path):
    """CRC-32 of a file, eight hex digits."""
    crc = 0
    with open(path, "rb") as file:
        while True:
            piece = file.read(PIECE)
            if not piece:
                return f"{crc:08x}"
            crc = zlib.crc32(piece, crc)


def copy_bulk(source, target, size):
    at = 0
    while at < size:
        piece = os.pread(source, min(PIECE, size - at), at)
        if not piece:
            raise OSError(f"a segment ends at {at} of {size} bytes")
        if piece.count(0) == len(piece):
            at += len(piece)              # a hole costs nothing
            continue
        written = 0
        while written < len(piece):
            written += os.pwrite(target, piece[written:], at + written)
        at += len(piece)
    os.ftruncate(target, size)


def copy_backwards(source, target, size):
    os.ftruncate(target, 0)
    os.ftruncate(target, size)
    for at in range((size - 1) // SECTOR * SECTOR, -1, -SECTOR):
        piece = os.pread(source, min(SECTOR, size - at), at)
        if any(piece):
            os.pwrite(target, piece, at)


def is_settled(before, after):
    """Nothing was written between two looks, and the last writing was long before the first."""
    return before.st_mtime_ns == after.st_mtime_ns and before.st_size == after.st_size and \
        time.time() - before.st_mtime > SETTLED_S


def copy_segment(source, segment, path):
    """Copies it to `path`. Returns its modification time if it is settled (else None), or False:
    it was recycled meanwhile."""
    temporary = path + ".part"
    target = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        before = os.fstat(source)
        copy_bulk(source, target, segment.size)
        settled = is_settled(before, os.fstat(source))
        if not settled:
            copy_backwards(source, target, segment.size)
        if read_header(source, segment.name, segment.tier) != segment:
            os.unlink(temporary)
            return False
        os.fsync(target)
    finally:
        os.close(target)
    os.replace(temporary, path)
    return before.st_mtime_ns if settled else None


def sync_folder(path):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
