"""Decompression in a process of its own, for the one decoder that can take a process down with it.

GDCM ends the whole process on some damaged streams: nobody can catch what it throws. It is the only
permissively licensed decoder of lossless JPEG, so what it decodes is handed to a child, which may die or hang
without harm: a file goes in by its standard input, the same file uncompressed comes out.
"""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO
from typing import TYPE_CHECKING

from suite.dicom.attributes import MALFORMED, parser_silenced

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

DANGEROUS = "gdcm"
COMMAND = (sys.executable, "-Pm", "suite.dicom.apart")
LIMIT_SECONDS = 60.0
"""Longest time for one film; one of 3000 x 3000 pixels takes less than two seconds."""


def decompress(dataset: Dataset, plugin: str) -> None:
    """Replace a data set's compressed pixel data by plain ones.

    Args:
        dataset: with its transfer syntax in ``file_meta``; changed in place.
        plugin: pydicom's name of the decoder; only :data:`DANGEROUS` works in a child.

    Raises:
        RuntimeError: the decoder refused, died or took too long; the data set is as before.
        ValueError, AttributeError, ...: as ``Dataset.decompress``, for decoders in this process.
    """
    if plugin != DANGEROUS:
        dataset.decompress(decoding_plugin=plugin, generate_instance_uid=False)
        return
    done = _run(_pixels_of(dataset))
    plain = _read(done)
    for keyword in ("PhotometricInterpretation", "PlanarConfiguration", "BitsAllocated", "BitsStored"):
        if keyword in plain:
            setattr(dataset, keyword, plain[keyword].value)
    dataset.PixelData = plain.PixelData
    dataset["PixelData"].VR = plain["PixelData"].VR
    dataset["PixelData"].is_undefined_length = False
    dataset.file_meta.TransferSyntaxUID = plain.file_meta.TransferSyntaxUID


def _run(content: bytes) -> bytes:
    try:
        done = subprocess.run(COMMAND, input=content, capture_output=True, timeout=LIMIT_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"the decoder was stopped after {LIMIT_SECONDS:g} s") from error
    if done.returncode != 0:
        raise RuntimeError(f"the decoder ended with status {done.returncode}")
    return done.stdout


def _pixels_of(dataset: Dataset) -> bytes:
    """A file with nothing but what a decoder needs: the patient stays here."""
    from pydicom.dataset import Dataset, FileMetaDataset

    small = Dataset()
    for keyword in (
        *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames"),
        *("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelData"),
    ):
        if keyword in dataset:
            small[keyword] = dataset[keyword]
    small.file_meta = FileMetaDataset()
    small.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    stream = BytesIO()
    with parser_silenced():
        small.save_as(stream, enforce_file_format=False)
    return stream.getvalue()


def _read(content: bytes) -> Dataset:
    from pydicom import dcmread

    try:
        with parser_silenced():
            return dcmread(BytesIO(content), force=True)
    except MALFORMED as error:
        raise RuntimeError("the decoder gave nothing back") from error


def main() -> int:
    """The child: a file in, the same file uncompressed out; the exit status says whether."""
    from pydicom import dcmread

    with parser_silenced():
        try:
            dataset = dcmread(BytesIO(sys.stdin.buffer.read()), force=True)
            dataset.decompress(decoding_plugin=DANGEROUS, generate_instance_uid=False)
            plain = BytesIO()
            dataset.save_as(plain, enforce_file_format=False)
            sys.stdout.buffer.write(plain.getvalue())
        except (*MALFORMED, RuntimeError, MemoryError, OSError):
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
