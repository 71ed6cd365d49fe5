"""Takes the picture of the site's start page that the README shows: `uv run python -m evaluator.site.screenshot`.

It needs Chromium, and builds the site of the committed traces first.
"""

import io
import shutil
import sys
import tempfile
from pathlib import Path

from evaluator import ROOT
from evaluator.site.build import build
from evaluator.site.output import START

PICTURE = ROOT / "docs" / "site.png"
_SIZE = 1280, 925
_COLOURS = 200
"""Enough for text, lines and bars; a picture of all colours is larger."""


def take(site: Path, picture: Path) -> None:
    """Write the picture of a site, in its light theme. Raises `LookupError` where there is no Chromium."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        raise LookupError("there is no Chromium: install it with `apt-get install chromium`")
    width, height = _SIZE
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"], timeout=120_000)
        page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="light")
        page.goto((site / START).as_uri())
        taken = page.screenshot()
        browser.close()
    picture.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(io.BytesIO(taken)) as image:
        image.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE).save(picture, optimize=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        build(ROOT / "traces", Path(folder) / "site")
        try:
            take(Path(folder) / "site", PICTURE)
        except LookupError as error:
            sys.exit(str(error))
