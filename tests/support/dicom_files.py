"""DICOM files as hospitals write them, of a patient whose name must go nowhere."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

PATIENT = "Mustermann^Erika"
PATIENT_ID = "PAT-4711-X"
EXAMINED = "19991231"
SECRETS = ("Mustermann", "Erika", PATIENT_ID, EXAMINED, "Charite")


def dicom(
    path: Path, values: np.ndarray, stored: int | None = None, syntax: str = ExplicitVRLittleEndian, **tags: Any
) -> Path:
    """values: 8 or 16 bits, [H, W], [frames, H, W] where NumberOfFrames is among the tags, or [H, W, 3] of RGB.

    tags: elements by keyword, over those that follow from the values; None leaves one out.
    """
    colour = values.ndim == 3 and values.shape[-1] == 3 and "NumberOfFrames" not in tags
    bits = values.dtype.itemsize * 8
    height, width = values.shape[:2] if colour else values.shape[-2:]
    said: dict[str, Any] = {
        "SOPClassUID": SecondaryCaptureImageStorage,
        "SOPInstanceUID": f"1.2.3.{zlib.crc32(path.name.encode())}",
        "PatientName": PATIENT,
        "PatientID": PATIENT_ID,
        "StudyDate": EXAMINED,
        "InstitutionName": "Charite",
        "Rows": height,
        "Columns": width,
        "SamplesPerPixel": 3 if colour else 1,
        "PhotometricInterpretation": "RGB" if colour else "MONOCHROME2",
        "BitsAllocated": bits,
        "BitsStored": stored or bits,
        "HighBit": (stored or bits) - 1,
        "PixelRepresentation": int(values.dtype.kind == "i"),
        **({"PlanarConfiguration": 0} if colour else {}),
        **tags,
    }
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = said["SOPClassUID"]
    dataset.file_meta.MediaStorageSOPInstanceUID = said["SOPInstanceUID"]
    for name, value in said.items():
        if value is not None:
            setattr(dataset, name, value)
    content = values.tobytes()
    dataset.PixelData = content + b"\x00" * (len(content) % 2)
    dataset["PixelData"].VR = "OB" if bits == 8 else "OW"
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def encoded(path: Path, frames: list[bytes], syntax: str, like: np.ndarray, **tags: Any) -> Path:
    """Frames that are compressed already, under a header as of the values `like`."""
    from pydicom import dcmread
    from pydicom.encaps import encapsulate

    dataset = dcmread(dicom(path, like, **tags))
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate(frames)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path, enforce_file_format=True)
    return path
