"""What tests about images share: replies as dicts, made-up images, sizes of results."""
import struct
import subprocess
import zlib


def put(client, key, data, *words):
    return client.execute_command("IMG.PUT", key, data, *words)


def get(client, key, *words):
    return client.execute_command("IMG.GET", key, *words)


def info(client, key, *fields):
    """IMG.INFO as a dict; tags as a list, attrs as a dict."""
    reply = client.execute_command("IMG.INFO", key, *fields)
    found = {name.decode(): value for name, value in zip(reply[::2], reply[1::2])}
    if isinstance(found.get("attrs"), list):
        found["attrs"] = dict(zip(found["attrs"][::2], found["attrs"][1::2]))
    return found


def put_photos(client, photos):
    """Each under its name; in one pipeline."""
    pipe = client.pipeline(transaction=False)
    for name, data in photos.items():
        pipe.execute_command("IMG.PUT", name, data)
    return dict(zip(photos, pipe.execute()))


def png(width, height, colour=(200, 30, 30), noise=None):
    """A small PNG of one colour, or of random bytes that nothing can shrink."""
    row = bytes(colour) * width
    rows = b"".join(b"\0" + (noise(len(row)) if noise else row) for _ in range(height))
    return png_of(width, height, zlib.compress(rows, 1))


def png_of(width, height, data):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + \
            struct.pack(">I", zlib.crc32(kind + body))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + \
        chunk(b"IEND", b"")


def what_is(data, folder):
    """(format, width, height) of a result, by libvips."""
    path = f"{folder}/result"
    with open(path, "wb") as file:
        file.write(data)
    fields = [subprocess.run(["vipsheader", "-f", name, path], capture_output=True, text=True,
                             check=True).stdout.strip()
              for name in ("vips-loader", "width", "height")]
    loaders = {"jpegload": "jpeg", "pngload": "png", "webpload": "webp", "heifload": "avif"}
    return loaders[fields[0]], int(fields[1]), int(fields[2])


def with_exif(jpeg, **said):
    """A JPEG with an EXIF block: make, model, lens, taken, iso, aperture, exposure, focal."""
    ids = {"make": (0x10f, 2), "model": (0x110, 2), "orientation": (0x112, 3)}
    inner = {"exposure": (0x829a, 5), "aperture": (0x829d, 5), "iso": (0x8827, 3),
             "taken": (0x9003, 2), "focal": (0x920a, 5), "lens": (0xa434, 2)}

    def directory(names, start, extra):
        entries, heap = list(extra), b""
        base = start + 2 + 12 * (len([n for n in names if n in said]) + len(extra)) + 4
        for name, (tag, kind) in names.items():
            if name not in said:
                continue
            if kind == 3:
                entries.append(struct.pack(">HHIHH", tag, 3, 1, said[name], 0))
                continue
            data = said[name].encode() + b"\0" if kind == 2 else \
                struct.pack(">II", round(said[name] * 10000), 10000)
            entries.append(struct.pack(">HHII", tag, kind, len(data) if kind == 2 else 1,
                                       base + len(heap)) if len(data) > 4 else
                           struct.pack(">HHI4s", tag, kind, len(data), data))
            heap += data + b"\0" * (len(data) % 2)
        return struct.pack(">H", len(entries)) + b"".join(sorted(entries)) + b"\0" * 4 + heap

    pointer = struct.pack(">HHII", 0x8769, 4, 1, 0)
    first = directory(ids, 8, [pointer])
    pointer_right = struct.pack(">HHII", 0x8769, 4, 1, 8 + len(first))
    tiff = b"MM\0*\0\0\0\x08" + first.replace(pointer, pointer_right)
    block = b"Exif\0\0" + tiff + directory(inner, 8 + len(first), [])
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]
