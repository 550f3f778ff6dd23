"""XMP: Adobe's metadata in RDF, beside an image or inside it. Foreign bytes: no document types,
no entities, bounded depth."""
import datetime
import xml.etree.ElementTree as ElementTree
from xml.parsers import expat

from importer.description import Description, SidecarError, place

XML_DEPTH_MAX = 64
DC = "{http://purl.org/dc/elements/1.1/}"
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
EXIF = "{http://ns.adobe.com/exif/1.0/}"
DATES = (EXIF + "DateTimeOriginal", "{http://ns.adobe.com/photoshop/1.0/}DateCreated",
         "{http://ns.adobe.com/xap/1.0/}CreateDate")


def parse_xml(data):
    """XML without document types or entities, of bounded depth."""
    builder, depth = ElementTree.TreeBuilder(), 0
    parser = expat.ParserCreate(namespace_separator="}")

    def name_of(name):
        return "{" + name if "}" in name else name

    def refuse(*_):
        raise SidecarError("document types and entities are not accepted")

    def start(name, attributes):
        nonlocal depth
        depth += 1
        if depth > XML_DEPTH_MAX:
            raise SidecarError("elements too deep")
        builder.start(name_of(name), {name_of(k): v for k, v in attributes.items()})

    def end(name):
        nonlocal depth
        depth -= 1
        builder.end(name_of(name))

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = parser.UnparsedEntityDeclHandler = refuse
    try:
        parser.Parse(data, True)
        return builder.close()
    except (expat.ExpatError, ValueError, AssertionError, LookupError) as error:
        raise SidecarError(str(error)) from error


def xmp_values(root, name):
    """The items of a property, however it is written: attribute, text, Alt, Bag or Seq."""
    values = []
    for element in root.iter():
        if name in element.attrib:
            values.append(element.attrib[name])
        if element.tag == name:
            items = list(element.iter(RDF + "li"))
            items.sort(key=lambda item: item.get(
                "{http://www.w3.org/XML/1998/namespace}lang") != "x-default")
            values += [item.text or "" for item in items] or [element.text or ""]
    return [value.strip() for value in values if value.strip()]


def xmp_degrees(text):
    """"48,51.5N" or "48,51,30N"."""
    sign = {"N": 1, "E": 1, "S": -1, "W": -1}[text[-1:].upper()]
    degrees, factor = 0.0, 1.0
    for part in text[:-1].split(","):
        degrees += float(part) / factor
        factor *= 60
    return sign * degrees


def iso_time(text):
    """Unix milliseconds; a time without a zone is UTC, as in the server's reading of EXIF."""
    when = datetime.datetime.fromisoformat(text)
    if when.tzinfo is None:
        when = when.replace(tzinfo=datetime.timezone.utc)
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return str((when - epoch) // datetime.timedelta(milliseconds=1))


def from_xmp(data):
    if not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        data = data.strip(b"\0 \r\n\t")      # of a packet's padding
    root = parse_xml(data)
    found = Description()
    found.title = next(iter(xmp_values(root, DC + "title")), None)
    found.caption = next(iter(xmp_values(root, DC + "description")), None)
    found.tags = xmp_values(root, DC + "subject")
    for name in DATES:
        for text in xmp_values(root, name)[:1]:
            try:
                found.taken = found.taken or iso_time(text)
            except (ValueError, OverflowError):
                pass                  # a partial or broken date says less than none
    lat = next(iter(xmp_values(root, EXIF + "GPSLatitude")), None)
    lon = next(iter(xmp_values(root, EXIF + "GPSLongitude")), None)
    try:
        if lat and lon:
            found.location = place(xmp_degrees(lon), xmp_degrees(lat))
    except (ValueError, KeyError):
        pass
    return found
