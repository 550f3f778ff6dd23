"""What is known of an image, from the files beside it and from inside it, as arguments of
IMG.PUT."""
import json

from importer.description import Description, SidecarError, decode_text, place
from importer.find import split_name
from importer.iptc import from_jpeg
from importer.xmp import from_xmp

SIDECAR_BYTES_MAX = 1 << 20


def from_txt(data):
    title, _, caption = decode_text(data).strip().partition("\n")
    found = Description()
    found.title, found.caption = title.strip() or None, caption.strip() or None
    return found


def from_json(data):
    try:
        said = json.loads(decode_text(data))
        if not isinstance(said, dict):
            raise ValueError("not an object")
        found = Description()
        for name in ("title", "caption"):
            if said.get(name) is not None:
                setattr(found, name, str(said[name]))
        tags = said.get("tags") or []
        found.tags = [tags] if isinstance(tags, str) else [str(tag) for tag in tags]
        attrs = said.get("attrs") or {}
        if not isinstance(attrs, dict):
            raise ValueError("attrs is not an object")
        found.attrs = {str(name): str(value) for name, value in attrs.items()}
        if said.get("taken") is not None:
            found.taken = str(said["taken"])
        if said.get("location") is not None:
            found.location = place(*said["location"])
        return found
    except (ValueError, TypeError, RecursionError) as error:
        raise SidecarError(str(error)) from error


def describe(candidate, data, tags, problem):
    """Everything known of an image, as arguments of IMG.PUT."""
    readers = {"json": from_json, "txt": from_txt, "xmp": from_xmp}
    whole = Description()
    for path in candidate.sidecars:
        try:
            with open(path, "rb") as file:
                text = file.read(SIDECAR_BYTES_MAX + 1)
            if len(text) > SIDECAR_BYTES_MAX:
                raise SidecarError(f"larger than {SIDECAR_BYTES_MAX} bytes")
            whole.take(readers[split_name(path)[1]](text))
        except (OSError, SidecarError) as error:
            problem(path, f"sidecar not used: {error}")
    if data[:3] == b"\xff\xd8\xff":
        whole.take(from_jpeg(data))
    whole.tags += tags
    return whole.words()
