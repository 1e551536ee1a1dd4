"""Numbers that several settings take."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, Strict

Share = Annotated[float, Strict(), Field(ge=0, lt=1, allow_inf_nan=False)]
Amount = Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)]
Rate = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Strict(), Field(ge=1, le=1_000_000)]
Layers = Annotated[int, Strict(), Field(ge=0, le=1000)]
