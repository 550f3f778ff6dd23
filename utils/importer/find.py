"""Finding images in folders, and the files beside them."""
import collections
import os

IMAGE_EXTENSIONS = {
    "jpg", "jpeg", "jpe", "jfif", "png", "apng", "gif", "webp", "avif", "heic", "heif", "tif",
    "tiff", "bmp", "jxl", "svg",
}
SIDECAR_EXTENSIONS = ("json", "txt", "xmp")


def looks_like_image(head):
    """By the first bytes alone."""
    brands = (b"avif", b"avis", b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"heim")
    return (head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a",
                             b"II*\0", b"MM\0*", b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"))
            or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
            or (head[4:8] == b"ftyp" and head[8:12] in brands)
            or (head[:2] == b"BM" and head[6:10] == b"\0\0\0\0"))


def is_image_file(path, extension):
    """A file that is named like an image is one until the server refuses it."""
    if extension in IMAGE_EXTENSIONS:
        return True
    if extension in SIDECAR_EXTENSIONS:
        return False
    try:
        with open(path, "rb") as file:
            return looks_like_image(file.read(16))
    except OSError:
        return False


Candidate = collections.namedtuple("Candidate", "path key size mtime_ns sidecars")


def split_name(name):
    stem, dot, extension = name.rpartition(".")
    return (stem, extension.lower()) if dot else (name, "")


def sidecars_of(name, folder_names):
    """Files beside an image that speak of it, those with its full name first."""
    stem, _ = split_name(name)
    found = []
    for extension in SIDECAR_EXTENSIONS:
        for base in (name, stem):
            for spelling in (extension, extension.upper()):
                if f"{base}.{spelling}" in folder_names:
                    found.append(f"{base}.{spelling}")
    return found


def candidates_in_folder(folder, relative, prefix):
    """Images of one folder in order of their names, and its folders."""
    images, folders = [], []
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        return [], [], f"{folder}: {error.strerror}"
    names = {entry.name for entry in entries}
    for entry in entries:
        try:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                folders.append((entry.path, relative + entry.name + "/"))
                continue
            _, extension = split_name(entry.name)
            if not entry.is_file() or not is_image_file(entry.path, extension):
                continue
            stat = entry.stat()
        except OSError:
            continue                  # it went away, or is a link to nowhere
        beside = [os.path.join(folder, name) for name in sidecars_of(entry.name, names)]
        images.append(Candidate(entry.path, prefix + relative + entry.name, stat.st_size,
                                stat.st_mtime_ns, beside))
    return images, folders, None


def taken_by(tops, relative):
    """The file in an earlier folder that has this key already."""
    for top in tops:
        if os.path.isfile(os.path.join(top, relative)):
            return os.path.join(top, relative)
    return None


def candidates(tops, prefix, problem):
    """Every image under the folders, each folder once however links lead to it."""
    seen = set()
    for number, top in enumerate(tops):
        if os.path.isfile(top):
            folder, name = os.path.split(os.path.abspath(top))
            images, _, _ = candidates_in_folder(folder, "", prefix)
            found = [image for image in images if os.path.basename(image.path) == name]
            if not found:
                problem(top, "not an image")
            yield from found
            continue
        waiting = [(top, "")]
        while waiting:
            folder, relative = waiting.pop()
            try:
                stat = os.stat(folder)
            except OSError as error:
                problem(folder, error.strerror)
                continue
            if (stat.st_dev, stat.st_ino) in seen:
                continue
            seen.add((stat.st_dev, stat.st_ino))
            images, folders, trouble = candidates_in_folder(folder, relative, prefix)
            if trouble:
                problem(folder, trouble)
            for image in images:
                other = taken_by(tops[:number], image.key[len(prefix):])
                if other is None:
                    yield image
                else:
                    problem(image.path, f"has the same key as {other}")
            waiting.extend(reversed(folders))
