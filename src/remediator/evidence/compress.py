"""zstd with limits: what unpacks to far more than it should is refused before it is there."""

from __future__ import annotations

from collections.abc import Iterable

from remediator.errors import EvidenceError

_LEVEL = 3
_WINDOW_LOG = 23
_CHUNK = 1024
_FLOOR = 160 * 1024 * 1024
_RATIO = 200


def compress(parts: Iterable[bytes]) -> bytes:
    """Return one zstd frame of the parts; the same parts always give the same bytes."""
    import zstandard

    parameters = zstandard.ZstdCompressionParameters.from_level(_LEVEL, window_log=_WINDOW_LOG, write_checksum=True, threads=0)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return b"".join([*(packer.compress(part) for part in parts), packer.flush()])


def decompress(data: bytes, *, origin: str, limit_bytes: int) -> bytes:
    """Return what one zstd frame holds.

    Raises EvidenceError where it is damaged, has anything behind it, passes the limit, or unpacks to an absurd multiple of its size.
    """
    import zstandard

    unpacker = zstandard.ZstdDecompressor(max_window_size=1 << _WINDOW_LOG).decompressobj()
    most = min(limit_bytes, _FLOOR + _RATIO * len(data))
    parts, size = [], 0
    try:
        # A block of 4 bytes can hold 128 KiB: small bites keep what one call can make of them small.
        for start in range(0, len(data), _CHUNK):
            if unpacker.eof:
                break
            parts.append(unpacker.decompress(data[start : start + _CHUNK]))
            size += len(parts[-1])
            if size > most:
                raise EvidenceError(f"{origin}: unpacks to more than {most} bytes", hint="no bundle of ours is that large; do not trust it")
    except zstandard.ZstdError as error:
        raise EvidenceError(f"{origin}: not a whole zstd file: {error}") from error
    if not unpacker.eof:
        raise EvidenceError(f"{origin}: the zstd file ends in the middle")
    if unpacker.unused_data or start + _CHUNK < len(data):
        raise EvidenceError(f"{origin}: there is something behind the end of the zstd file")
    return b"".join(parts)
