"""What a JPEG says of itself: XMP (APP1) and IPTC (APP13). EXIF is the server's to read."""
import collections
import struct

from importer.description import Description, SidecarError, decode_text
from importer.xmp import from_xmp


def jpeg_segments(data):
    """(marker, payload) of each segment before the picture itself."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xff:
        marker = data[at + 1]
        if marker == 0xff:
            at += 1
            continue
        length = int.from_bytes(data[at + 2:at + 4], "big")
        if marker in (0xda, 0xd9) or length < 2 or at + 2 + length > len(data):
            return
        yield marker, data[at + 4:at + 2 + length]
        at += 2 + length


def iptc_of_photoshop(block):
    """The IPTC resource (0x0404) among Photoshop's."""
    at = 0
    while at + 12 <= len(block) and block[at:at + 4] == b"8BIM":
        kind = int.from_bytes(block[at + 4:at + 6], "big")
        at += 6 + ((block[at + 6] + 2) & ~1)
        length = int.from_bytes(block[at:at + 4], "big")
        if kind == 0x0404:
            return block[at + 4:at + 4 + length]
        at += 4 + ((length + 1) & ~1)
    return b""


def from_iptc(block):
    """IIM datasets: {0x1c, record, dataset, length, bytes}."""
    records, at = collections.defaultdict(list), 0
    while at + 5 <= len(block) and block[at] == 0x1c:
        record, dataset, length = struct.unpack_from(">BBH", block, at + 1)
        if length > 0x7fff or at + 5 + length > len(block):
            break                     # extended lengths are for pictures within pictures
        records[record, dataset].append(block[at + 5:at + 5 + length])
        at += 5 + length
    found = Description()
    for name, datasets in (("title", ((2, 5), (2, 105))), ("caption", ((2, 120),))):
        texts = [decode_text(text) for key in datasets for text in records[key]]
        setattr(found, name, next((text for text in texts if text.strip()), None))
    found.tags = [decode_text(text) for text in records[2, 25]]
    return found


def from_jpeg(data):
    """What a JPEG says of itself apart from EXIF, which is the server's to read."""
    found, photoshop, has_exif, xmp = Description(), b"", False, None
    mark = b"http://ns.adobe.com/xap/1.0/\0"
    for marker, payload in jpeg_segments(data):
        if marker == 0xe1 and payload.startswith(mark) and xmp is None:
            xmp = bytes(payload[len(mark):])
        elif marker == 0xe1 and payload.startswith(b"Exif\0"):
            has_exif = True
        elif marker == 0xed and payload.startswith(b"Photoshop 3.0\0"):
            photoshop += payload[14:]
    try:
        if xmp:
            found.take(from_xmp(xmp))
    except SidecarError:
        pass                          # what a camera wrote badly is not the user's mistake
    found.take(from_iptc(iptc_of_photoshop(photoshop)))
    if has_exif:
        found.taken = found.location = None
    return found
