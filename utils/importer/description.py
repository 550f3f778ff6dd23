"""The words that a user, a sidecar or a file's own metadata may have for one image."""

# The server's own limits (base/limits.h), so that a long caption costs its end, not the image.
TITLE_MAX, CAPTION_MAX, TAGS_MAX, TAG_MAX = 4096, 65536, 256, 256
ATTRS_MAX, ATTR_NAME_MAX, ATTR_VALUE_MAX = 64, 64, 1024


class SidecarError(Exception):
    """A file beside an image cannot be read as what it claims to be."""


def cut(text, bytes_max):
    """Text as UTF-8 of at most so many bytes, cut between characters; no NUL."""
    data = text.replace("\0", " ").strip().encode("utf-8", "replace")
    return data if len(data) <= bytes_max else \
        data[:bytes_max].decode("utf-8", "ignore").encode()


class Description:
    """Title, caption, tags and so on. The first source that has a word decides; tags add up."""

    def __init__(self):
        self.title = self.caption = self.taken = self.location = None
        self.tags, self.attrs = [], {}

    def take(self, other):
        for name in ("title", "caption", "taken", "location"):
            if getattr(self, name) is None:
                setattr(self, name, getattr(other, name))
        self.tags += other.tags
        self.attrs = {**other.attrs, **self.attrs}

    def words(self):
        """As arguments of IMG.PUT."""
        words = []
        for name, value, bytes_max in (("TITLE", self.title, TITLE_MAX),
                                       ("CAPTION", self.caption, CAPTION_MAX)):
            if value and value.strip():
                words += [name, cut(value, bytes_max)]
        parts = [cut(part, TAG_MAX) for tag in self.tags for part in tag.split(",")]
        tags = list(dict.fromkeys(tag for tag in parts if tag))[:TAGS_MAX]
        if tags:
            words += ["TAGS", b",".join(tags)]
        for name, value in list(self.attrs.items())[:ATTRS_MAX]:
            name = cut(name, ATTR_NAME_MAX)
            if name:
                words += ["ATTR", name, cut(value, ATTR_VALUE_MAX)]
        if self.taken is not None:
            words += ["TAKEN", self.taken]
        if self.location is not None:
            words += ["LOCATION", *map(repr, self.location)]
        return words


def decode_text(data):
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def place(lon, lat):
    lon, lat = float(lon), float(lat)
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        raise ValueError("no place on earth")
    return lon, lat
