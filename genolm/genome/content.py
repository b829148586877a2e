"""What a file really is, told by its first bytes."""

from typing import Literal

Compression = Literal["plain", "gzip", "bgzip"]

HEAD_BYTES = 4096


def compression_of(head: bytes) -> Compression:
    """Tell plain, gzip and bgzip (block gzip, SAM specification 4.1) apart.

    Args:
        head: The first 18 bytes of the file, or more.
    """
    if not head.startswith(b"\x1f\x8b"):
        return "plain"
    has_block_size = len(head) >= 18 and head[3] & 4 and head[12:16] == b"BC\x02\x00"
    return "bgzip" if has_block_size else "gzip"


_SIGNATURES = (
    (b"\xef\xbb\xbf", "text with a byte-order mark (save it as UTF-8 without BOM)"),
    (b"\xff\xfe", "UTF-16 text (save it as plain ASCII or UTF-8)"),
    (b"BZh", "bzip2-compressed"),
    (b"\xfd7zXZ", "xz-compressed"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed"),
    (b"PK\x03\x04", "a zip archive"),
    (b"BCF\x02", "a BCF file"),
    (b"BAM\x01", "a BAM file"),
    (b"\x1aB'C", "a 2bit file"),
    (b"C'B\x1a", "a 2bit file"),
    (b"##fileformat=VCF", "a VCF file"),
    (b"##gff-version", "a GFF file"),
    (b"#CHROM", "a VCF file"),
    (b"LOCUS ", "a GenBank file"),
    (b"ID   ", "an EMBL file"),
    (b"<", "an HTML or XML page (did a download fail?)"),
    (b">", "a FASTA file"),
    (b"@", "a FASTQ or SAM file"),
)


def kind_of(head: bytes) -> str | None:
    """Name the kind of file that begins with these (decompressed) bytes, None if unknown."""
    start = head.lstrip()
    return next((kind for mark, kind in _SIGNATURES if start.startswith(mark)), None)
