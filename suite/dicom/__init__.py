"""DICOM in and out: reading, grey values, writing."""
