"""What is taken over the wire: SOP classes of projection radiographs, and what the decoders can read."""

from __future__ import annotations

from functools import cache

ACCEPTED_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.1": "Computed Radiography Image Storage",
    "1.2.840.10008.5.1.4.1.1.1.1": "Digital X-Ray Image Storage - For Presentation",
    "1.2.840.10008.5.1.4.1.1.1.1.1": "Digital X-Ray Image Storage - For Processing",
    "1.2.840.10008.5.1.4.1.1.12.2": "X-Ray Radiofluoroscopic Image Storage (single frame)",
    "1.2.840.10008.5.1.4.1.1.7": "Secondary Capture Image Storage",
    "1.2.840.10008.5.1.4.1.1.7.2": "Multi-frame Grayscale Byte Secondary Capture (single frame)",
    "1.2.840.10008.5.1.4.1.1.7.3": "Multi-frame Grayscale Word Secondary Capture (single frame)",
    "1.2.840.10008.5.1.4.1.1.7.4": "Multi-frame True Color Secondary Capture (single frame)",
}
"""SOP classes that can hold a radiograph. Of Secondary Captures the modality says whether they do."""

_SYNTAXES = (
    "1.2.840.10008.1.2.1",  # Explicit VR Little Endian: first, since a sender may take the first accepted
    "1.2.840.10008.1.2",  # Implicit VR Little Endian
    "1.2.840.10008.1.2.2",  # Explicit VR Big Endian
    "1.2.840.10008.1.2.1.99",  # Deflated Explicit VR Little Endian
    "1.2.840.10008.1.2.5",  # RLE Lossless
    "1.2.840.10008.1.2.4.50",  # JPEG Baseline
    "1.2.840.10008.1.2.4.51",  # JPEG Extended
    "1.2.840.10008.1.2.4.57",  # JPEG Lossless
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.81",  # JPEG-LS near-lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.4.201",  # HTJ2K Lossless
    "1.2.840.10008.1.2.4.202",  # HTJ2K Lossless RPCL
    "1.2.840.10008.1.2.4.203",  # HTJ2K
)


@cache
def accepted_syntaxes() -> tuple[str, ...]:
    """UIDs of the transfer syntaxes for which a decoder is installed."""
    from pydicom.pixels.decoders.base import get_decoder

    from suite.dicom.attributes import to_uid

    return tuple(uid for uid in _SYNTAXES if get_decoder(to_uid(uid)).is_available)
