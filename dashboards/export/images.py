"""Plotly figures to image files, by kaleido and a Chromium that is installed; nothing is fetched for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

from dashboards.figures.palette import Spec
from orchestrator.store.errors import OrchError

Format = Literal["svg", "png", "pdf"]
Take = Callable[[str, bytes], None]
Lose = Callable[[str, Exception], None]
DOTS_PER_INCH = 300
RENDER_TIMEOUT_S = 60.0


class NoRendererError(OrchError):
    """kaleido or Chromium is missing or does not start."""


def why_not() -> str:
    """One line that says what is missing for image files; "" where nothing is."""
    try:
        import kaleido  # noqa: F401
        from choreographer.browsers.chromium import Chromium
    except ImportError:
        return "Image files need kaleido: pip install 'orch-search[figures]'."
    browser = Chromium.find_browser(skip_local=False)
    if not browser or not Path(browser).exists():
        return "Image files need an installed Chromium or Chrome: apt install chromium, or set BROWSER_PATH to one."
    return ""


def render(figures: Iterable[tuple[str, Spec]], form: Format, take: Take, lose: Lose) -> None:
    """Draw every (name, figure) one after the other in one browser and hand its bytes to `take`; hand what plotly
    does not accept to `lose`.

    Raises NoRendererError where kaleido or the browser is missing, does not start or no longer answers.
    """
    missing = why_not()
    if missing:
        raise NoRendererError(missing)
    with _quiet():
        asyncio.run(_render(figures, form, take, lose))


async def _render(figures: Iterable[tuple[str, Spec]], form: Format, take: Take, lose: Lose) -> None:
    from choreographer.errors import BrowserClosedError, BrowserFailedError
    from kaleido import Kaleido

    options = {"format": form, "scale": DOTS_PER_INCH / 96 if form == "png" else 1}
    # mathjax would be fetched from a network; plotly.js is the one that plotly brings along
    renderer = Kaleido(n=1, timeout=RENDER_TIMEOUT_S, mathjax=False)
    try:
        await renderer.open()
    except Exception as error:
        raise _not_drawn(error) from error
    try:
        for name, figure in figures:
            try:
                image = await renderer.calc_fig(figure, opts=options)
            except (OSError, BrowserClosedError, BrowserFailedError) as error:  # a time-out is an OSError
                raise _not_drawn(error) from error
            except Exception as error:
                lose(name, error)
                continue
            take(name, image)
    finally:
        await renderer.close()


def _not_drawn(error: Exception) -> NoRendererError:
    cause = (str(error).splitlines() or [type(error).__name__])[0]
    return NoRendererError(
        f"Chromium did not draw the figures: {cause}", "Try another browser: set BROWSER_PATH to it."
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The renderer's own log is not for readers of ours."""
    loggers = [logging.getLogger(name) for name in ("kaleido", "choreographer", "logistro")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
