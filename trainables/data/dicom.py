"""DICOM files through pydicom: grey with the range that the file states, or colour.

* Grey of 8 to 16 bits, after its modality transformation (rescale slope and intercept, or a table). MONOCHROME1 is
  white where values are low. The file states a range: its first window, else what its bits stored can hold.
* 8-bit RGB and YBR, and palettes, as they are. Padding values are values as others; overlays are not drawn.
* Uncompressed, RLE, JPEG of 8 bits and JPEG 2000. Other transfer syntaxes are refused by name.
* Nothing but what says how pixels are read is taken from a file: no name, number or date of a patient, no text.
"""

from __future__ import annotations

import contextlib
import math
import re
import warnings
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from trainables.data.pages import Layout
from trainables.data.reading import Intensity, RefusedImageError
from trainables.data.shades import Picture, Shades, Stated

DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".ima"})
_CONVERT = "convert it: gdcmconv --raw IN.dcm OUT.dcm"
_DECODERS = {
    "1.2.840.10008.1.2": "",
    "1.2.840.10008.1.2.1": "",
    "1.2.840.10008.1.2.2": "",
    "1.2.840.10008.1.2.5": "pydicom",
    "1.2.840.10008.1.2.4.50": "pillow",
    "1.2.840.10008.1.2.4.51": "pillow",
    "1.2.840.10008.1.2.4.90": "pillow",
    "1.2.840.10008.1.2.4.91": "pillow",
}
"""Transfer syntaxes that are read and the plug-in of pydicom that decodes them, the same wherever a model is used."""
_JPEG_12 = "1.2.840.10008.1.2.4.51"
_WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_PALETTE = "PALETTE COLOR"
_TABLES = [
    f"{colour}PaletteColorLookupTable{part}" for colour in ("Red", "Green", "Blue") for part in ("Descriptor", "Data")
]
_TABLES += [f"Segmented{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue")]
_READ = [
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit"),
    *("PixelRepresentation", "NumberOfFrames", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence", "PresentationLUTShape"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    *_TABLES,
]
"""All that is read of a file beside its pixels."""


def may_be_dicom(path: Path) -> bool:
    """Whether the name is one of DICOM, or has no suffix and DICM at byte 128; UIDs have dots, and no suffix."""
    suffix = path.suffix.lower()
    if suffix in DICOM_SUFFIXES:
        return True
    if (suffix and not suffix[1:].isdigit()) or path.name.casefold() == "dicomdir":
        return False
    try:
        with path.open("rb") as file:
            return is_dicom(file.read(132))
    except (OSError, ValueError):
        return False


def is_dicom(start: bytes) -> bool:
    """start: the first 132 bytes of a file."""
    return start[128:132] == b"DICM"


class DicomFile:
    """width, height: in pixels. layout: its frames. remarks: what contradicts itself in the file. Raises
    RefusedImageError; of the pixels nothing is decoded before `pages`."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        pydicom = _pydicom()
        self._file = file
        meta = pydicom.filereader.read_file_meta_info(path)
        self._syntax = str(meta.get("TransferSyntaxUID", ""))
        if self._syntax not in _DECODERS:
            known = re.fullmatch(r"[0-9.]{5,64}", self._syntax)
            name = f"{pydicom.uid.UID(self._syntax).name} is not supported" if known else "the file names none"
            raise RefusedImageError(f"transfer syntax: {name}; {_CONVERT}")
        if str(meta.get("MediaStorageSOPClassUID", "")) == _WHOLE_SLIDE:
            raise RefusedImageError(
                "not read: a whole-slide image: cut it into tiles, for instance with OpenSlide, and make the slide or "
                "patient the group"
            )
        file.seek(0)
        try:
            self._header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_READ)
        except MemoryError as error:
            raise RefusedImageError("cannot be decoded: a header larger than memory") from error
        if "Rows" not in self._header or "Columns" not in self._header:
            raise RefusedImageError("not an image: a DICOM file without pixels, such as a report or a plan")
        self.height, self.width = self._whole("Rows"), self._whole("Columns")
        self._bits, self._stored = self._whole("BitsAllocated"), self._whole("BitsStored")
        self._signed = self._whole("PixelRepresentation", 0) == 1
        self._colours = str(self._header.get("PhotometricInterpretation", "")).strip().upper()
        self._check()
        frames = self._whole("NumberOfFrames", 1)
        self.layout = Layout((range(max(1, frames)),), ("",), "frame")
        shape = str(self._header.get("PresentationLUTShape", "") or "").strip().upper()
        expected = {"MONOCHROME1": "INVERSE", "MONOCHROME2": "IDENTITY"}.get(self._colours, shape)
        self.remarks = (
            (f"{self._colours} beside presentation LUT shape {shape}: read as {self._colours}",)
            if shape in ("INVERSE", "IDENTITY") and shape != expected
            else ()
        )

    def _check(self) -> None:
        samples, stored, bits = self._whole("SamplesPerPixel", 1), self._stored, self._bits
        if self.height < 1 or self.width < 1:
            raise RefusedImageError(f"cannot be decoded: {self.width} x {self.height} pixels")
        if self._colours not in (*_GREY, *_COLOUR, _PALETTE):
            shown = self._colours if re.fullmatch(r"[A-Z0-9_ ]{1,16}", self._colours) else "unknown"
            raise RefusedImageError(f"unknown colours: photometric interpretation {shown}; save it as RGB")
        if samples != (3 if self._colours in _COLOUR else 1):
            raise RefusedImageError(f"unknown colours: {samples} samples per pixel in {self._colours}; save it as RGB")
        if self._colours in _COLOUR and bits != 8:
            raise RefusedImageError(f"{bits}-bit colour: only 8-bit DICOM colour is supported; save it with 8 bits")
        if bits not in (8, 16) or not 1 <= stored <= bits or self._whole("HighBit", stored - 1) != stored - 1:
            raise RefusedImageError(
                f"bits stored: {stored} of {bits}, expected up to 8 or 16 without a gap; save it with 16 bits"
            )
        if self._syntax == _JPEG_12 and stored > 8:
            raise RefusedImageError(f"transfer syntax: 12-bit JPEG is not supported; {_CONVERT}")

    @property
    def is_colour(self) -> bool:
        return self._colours not in _GREY

    def pages(self, numbers: Sequence[int]) -> Generator[Picture]:
        """The frames of these numbers, from 0."""
        from pydicom.pixels.utils import iter_pixels

        self._file.seek(0)
        plugin = _DECODERS[self._syntax]
        arrays: Any = iter_pixels(self._file, indices=list(numbers), decoding_plugin=plugin)
        with contextlib.closing(arrays):  # it seeks in the file when it ends
            for number, values in zip(numbers, arrays, strict=True):
                if values.shape[:2] != (self.height, self.width):
                    raise RefusedImageError("cannot be decoded: the number of pixels is not what the header says")
                yield self._picture(values, number)

    def _picture(self, values: np.ndarray, number: int) -> Picture:
        if self._colours in _COLOUR:
            return np.array(values, dtype=np.uint8)
        if self._colours == _PALETTE:
            return self._looked_up(values)
        values = self._masked(values)
        modality = self._macro(number, "PixelValueTransformationSequence", ("ModalityLUTSequence", "RescaleSlope"))
        low, high = (
            (-(2 ** (self._stored - 1)), 2 ** (self._stored - 1) - 1) if self._signed else (0, 2**self._stored - 1)
        )
        if modality is not None and modality.get("ModalityLUTSequence"):
            from pydicom.pixels.processing import apply_modality_lut

            bits = int(modality.ModalityLUTSequence[0].LUTDescriptor[2])
            values, held = apply_modality_lut(values, modality).astype(np.float64), Intensity(0, 2**bits - 1)
        else:
            slope = _number(modality.get("RescaleSlope"), 1.0) if modality is not None else 1.0
            intercept = _number(modality.get("RescaleIntercept"), 0.0) if modality is not None else 0.0
            if not (math.isfinite(slope) and math.isfinite(intercept)) or slope == 0:
                raise RefusedImageError(
                    f"rescale: slope {slope:g} and intercept {intercept:g} are not a valid transformation"
                )
            values = values.astype(np.float64) * slope + intercept
            ends = sorted((low * slope + intercept, high * slope + intercept))
            held = Intensity(*ends)
        return Shades(values, True, None, self._colours == "MONOCHROME1", stated=self._stated(number, held))

    def _masked(self, values: np.ndarray) -> np.ndarray:
        """Bits above those stored (overlays, wrong signs) taken away."""
        kind = np.dtype(f"{'int' if self._signed else 'uint'}{self._bits}")
        unused = self._bits - self._stored
        values = values.astype(kind)
        return (values << kind.type(unused)) >> kind.type(unused) if unused else values

    def _looked_up(self, values: np.ndarray) -> Picture:
        from pydicom.pixels.processing import apply_color_lut

        colours = apply_color_lut(values, self._header)[..., :3]
        if colours.dtype == np.uint8:
            return np.array(colours, dtype=np.uint8)
        if colours.max() < 4096:
            raise RefusedImageError("palette: 16-bit colours that are all below 4096; save it as RGB")
        return ((colours.astype(np.int64) * 255 + 32_767) // 65_535).astype(np.uint8)

    def _stated(self, number: int, held: Intensity) -> Stated:
        """The first window of a frame, else what its bits hold."""
        voi = self._macro(number, "FrameVOILUTSequence", ("WindowCenter", "VOILUTSequence"))
        if voi is None:
            return Stated(held, "bits", held)
        if voi.get("WindowCenter") is None:
            return Stated(None, "a lookup table (VOI LUT) instead of a window", held)
        function = str(voi.get("VOILUTFunction") or "LINEAR").strip().upper()
        centre, width = _number(voi.get("WindowCenter"), math.nan), _number(voi.get("WindowWidth"), math.nan)
        exact = function == "LINEAR_EXACT"
        low, high = centre - width / 2, centre + width / 2
        if function == "LINEAR":  # part 3, C.11.2.1.2.1: 2048 and 4096 are 0:4095
            low, high = centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            return Stated(None, "a window without width", held)
        window = Intensity(low, high)
        if function == "LINEAR" or exact:
            return Stated(window, "window", window)
        return Stated(None, "a window that is not linear (sigmoid)", window)

    def _macro(self, number: int, sequence: str, of: tuple[str, ...]) -> Any:
        """The first of frame, all frames and file that has one of the elements `of`; None where none has."""
        groups = self._header.get("PerFrameFunctionalGroupsSequence") or []
        places = [groups[number]] if number < len(groups) else []
        places += list(self._header.get("SharedFunctionalGroupsSequence") or [])[:1]
        for place in [item for group in places for item in list(group.get(sequence) or [])[:1]] + [self._header]:
            if any(place.get(name) is not None for name in of):
                return place
        return None

    def _whole(self, name: str, default: int | None = None) -> int:
        value = self._header.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, int):
            raise RefusedImageError(f"cannot be decoded: DICOM without {name}")
        return int(value)


def _number(value: Any, default: float) -> float:
    """The first number of an element, `default` where there is none."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = value[0] if len(value) else None
    if value is None or value == "":
        return default
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _pydicom() -> Any:
    """Imported when the first DICOM file is met. What it has to say of elements that are not quite as the standard asks
    is for nobody: the pixels are checked here."""
    try:
        import pydicom
        import pydicom.filereader
        import pydicom.uid
    except ImportError as error:
        raise RefusedImageError("not read: a DICOM file, which needs pydicom: pip install pydicom") from error
    ours = re.compile("pydicom")
    if not any(entry[0] == "ignore" and entry[3] == ours for entry in warnings.filters):
        warnings.filterwarnings("ignore", module="pydicom")
    return pydicom
