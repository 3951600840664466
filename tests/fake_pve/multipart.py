"""Uploads: the parts of a multipart/form-data body."""

from __future__ import annotations

import re
from pathlib import Path

from tests.fake_pve.errors import ApiError


def split_parts(kind: str, body: bytes, scratch: Path) -> tuple[dict[str, str], dict[str, Path]]:
    """The plain fields, and the files by field, their bytes below `scratch`.

    A file's name becomes the field `filename`, as pveproxy passes it on to the API.
    """
    boundary = re.search(r'boundary="?([^";]+)', kind)
    if boundary is None:
        raise ApiError(400, "no boundary in the content type")
    fields: dict[str, str] = {}
    uploads: dict[str, Path] = {}
    for part in body.split(b"--" + boundary[1].encode())[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        content = content.removesuffix(b"\r\n")
        text = head.decode("utf-8", "replace")
        name = re.search(r'[;\s]name="([^"]*)"', text)
        file = re.search(r'filename="([^"]*)"', text)
        if name and file:
            path = scratch / f"part{len(uploads)}"
            path.write_bytes(content)
            uploads[name[1]] = path
            fields["filename"] = file[1]
        elif name:
            fields[name[1]] = content.decode()
    return fields, uploads
