"""The first bytes of a file in, the kind of picture out; what is no picture is refused with its kind by name."""

from __future__ import annotations

from inkstream.errors import Rejected

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
READ_KINDS = "PNG, JPEG, WebP, GIF, BMP, TIFF, HEIC and AVIF"

_SIGNATURES = (
    (PNG_SIGNATURE, "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "tiff"),
    (b"MM\x00+", "tiff"),
)
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"heif", b"mif1", b"msf1"}
_BMP_HEADER_BYTES = {12, 16, 40, 52, 56, 64, 108, 124}  # "BM" alone begins many a text
_WRITTEN_IN_ASCII = (
    (b"%PDF-", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"{\\rtf", "an RTF document"),
)
_FOREIGN = (
    (b"\xc5\xd0\xd3\xc6", "a PostScript document"),
    (b"8BPS", "a Photoshop document"),
    (b"PK\x03\x04", "a zip archive or an office document"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an office document"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"ID3", "a sound recording"),
    (b"OggS", "a sound recording or a video"),
    (b"fLaC", "a sound recording"),
    (b"\x1aE\xdf\xa3", "a video"),
    (b"SQLite format 3\x00", "a database"),
    (b"PAR1", "a Parquet table"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x00\x00\x01\x00", "an icon file (ICO)"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "a JPEG XL picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
)
_HEAD_BYTES = 1024
_TEXT_CONTROLS = frozenset(range(32)) - {7, 8, 9, 10, 11, 12, 13, 27}


def sniff(data: bytes) -> str:
    """The kind of picture by its first bytes, whatever its name says: "png", "jpeg", "webp", "gif", "bmp", "tiff", ...

    Raises:
        Rejected: `unreadable` for no bytes, or fewer than a signature; `unsupported_format`, naming what it is instead.
    """
    if not data:
        raise Rejected("unreadable", "The file is empty: it has 0 bytes.")
    for signature, kind in _SIGNATURES:
        if data.startswith(signature):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[:2] == b"BM" and (len(data) < 18 or int.from_bytes(data[14:18], "little") in _BMP_HEADER_BYTES):
        return "bmp"
    if data[4:8] == b"ftyp":
        return _kind_by_brands(data)
    if _is_cut_signature(data):
        raise _cut_to(len(data))
    raise _not_a_picture(_foreign_kind(data))


def _kind_by_brands(data: bytes) -> str:
    """ "avif" or "heic": both live in the same container as MP4 films."""
    stated = min(int.from_bytes(data[:4], "big"), _HEAD_BYTES)
    if len(data) < max(stated, 12):
        raise _cut_to(len(data))
    end = max(stated, 16)
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}
    if brands & _AVIF_BRANDS:
        return "avif"
    if brands & _HEIC_BRANDS:
        return "heic"
    raise _not_a_picture("a video")


def _is_cut_signature(data: bytes) -> bool:
    """Whether less than a signature is left; two letters of ASCII are more likely a text than a picture."""
    if len(data) < 12 and data.startswith((b"RIFF", b"\x00\x00\x00")):
        return True
    return (len(data) > 2 or data[0] > 127) and any(signature.startswith(data) for signature, _ in _SIGNATURES)


def _cut_to(length: int) -> Rejected:
    return Rejected("unreadable", f"The file is cut short: {length} bytes of a picture are left.")


def _not_a_picture(kind: str | None) -> Rejected:
    if kind is None:
        return Rejected("unsupported_format", f"The file is no picture of a kind that is read ({READ_KINDS}).")
    if kind.endswith(("picture", ")")):
        return Rejected("unsupported_format", f"This is {kind}; read are {READ_KINDS}.")
    return Rejected("unsupported_format", f"This is {kind}, not a picture.")


def _foreign_kind(data: bytes) -> str | None:
    for signature, kind in _WRITTEN_IN_ASCII:
        if data.startswith(signature):
            return kind
    if text := _text_kind(data[:_HEAD_BYTES]):
        return text
    for signature, kind in _FOREIGN:
        if data.startswith(signature):
            return kind
    if data[:4] == b"RIFF":
        return "a video" if data[8:12] == b"AVI " else "a sound recording"
    return "a tar archive" if data[257:262] == b"ustar" else None


def _text_kind(head: bytes) -> str | None:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "a text file"
    if not _TEXT_CONTROLS.isdisjoint(head):
        return None
    try:
        text = head.decode("utf-8").lstrip("\ufeff \t\r\n").lower()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # later, a character is only cut by the end of the head
            return None
        text = head[: error.start].decode("utf-8").lstrip("\ufeff \t\r\n").lower()
    if "<svg" in text:
        return "an SVG drawing (vectors, not pixels)"
    if text.startswith(("<!doctype html", "<html", "<head", "<body")):
        return "a web page (HTML)"
    return "an XML document" if text.startswith("<?xml") else "a text file"
