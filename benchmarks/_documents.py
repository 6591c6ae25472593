"""Word documents and workbooks as programs save and rewrite them."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from xml.sax.saxutils import escape

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006"
METADATA = "http://schemas.microsoft.com/office/2006/metadata/properties"
PROPERTIES = f'<Properties xmlns="{OFFICE}/extended-properties"><Application>Word</Application></Properties>'


def docx(paragraphs: list[str], session: str = "00A1B2C3") -> bytes:
    """Return a Word document; `session` is the number that Word gives to each session of editing."""
    body = "".join(
        f'<w:p w:rsidR="{session}"><w:r><w:t xml:space="preserve">{escape(text)}</w:t></w:r></w:p>'
        for text in paragraphs
    )
    relation = f'<Relationship Id="rId1" Type="{OFFICE}/relationships/officeDocument" Target="word/document.xml"/>'
    default = '<Default Extension="xml" ContentType="application/xml"/>'
    return packed(
        {
            "[Content_Types].xml": f'<Types xmlns="{TYPES}">{default}</Types>',
            "_rels/.rels": f'<Relationships xmlns="{RELATIONS}">{relation}</Relationships>',
            "docProps/app.xml": PROPERTIES,
            "word/document.xml": f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>',
            "word/settings.xml": f'<w:settings xmlns:w="{WORD}"><w:rsid w:val="{session}"/></w:settings>',
        }
    )


def packed(parts: Mapping[str, str | bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip archive of `parts`, the same each time."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content, compression)
    return target.getvalue()


def unpacked(content: bytes) -> dict[str, bytes]:
    """Return the parts of an archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {entry.filename: archive.read(entry) for entry in archive.infolist()}


def through_sharepoint(content: bytes, document_id: str) -> bytes:
    """Return an Office file as SharePoint hands it out: properties promoted into it, nothing else changed.

    It adds ``docProps/custom.xml`` and ``customXml`` with the columns of the library, names
    them among types and relations, and packs everything anew.
    """
    parts = unpacked(content)
    custom = f'<property name="ContentTypeId">{document_id}</property>'
    managed = f"<documentManagement>{document_id}</documentManagement>"
    kind = "application/vnd.openxmlformats-officedocument.custom-properties+xml"
    added = {
        "[Content_Types].xml": f'<Override PartName="/docProps/custom.xml" ContentType="{kind}"/>',
        "_rels/.rels": f'<Relationship Id="r9" Type="{OFFICE}/custom-properties" Target="docProps/custom.xml"/>',
    }
    parts |= {name: _before_end(parts[name], addition) for name, addition in added.items()}
    parts["docProps/custom.xml"] = f'<Properties xmlns="{OFFICE}/custom-properties">{custom}</Properties>'.encode()
    parts["customXml/item1.xml"] = f'<p:properties xmlns:p="{METADATA}">{managed}</p:properties>'.encode()
    return packed(dict(sorted(parts.items())))


def saved_again(content: bytes) -> bytes:
    """Return an Office file as if it had been opened and saved: other session numbers, times and packing."""
    parts = {
        name: re.sub(rb'(rsid\w*=")[0-9A-F]{8}', rb"\g<1>00F0F0F0", part) if name.endswith(".xml") else part
        for name, part in unpacked(content).items()
    }
    parts["docProps/app.xml"] = PROPERTIES.replace("Word", "Another").encode()
    return packed(parts, zipfile.ZIP_STORED)


def _before_end(part: bytes, addition: str) -> bytes:
    place = part.rindex(b"</")
    return part[:place] + addition.encode() + part[place:]
