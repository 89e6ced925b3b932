"""Makes the pictures of the pages: `python docs/pictures/make.py`, in an environment with the extra `browser`.

They show the real page of `vestige demo`, in Debian's chromium, with as few colours as keep them small.
"""

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).parent
WIDTH = 1000

SECTIONS = {"attacks": ("roc", 900), "roc": ("thresholds", 730), "groups": ("checks", 560)}
"""A picture and its heading: the heading up to which it reaches, and its height at most [pixels]."""


def height_of(page: Page, heading: str) -> float:
    """Where a heading stands on the page [pixels]."""
    return float(page.evaluate(f"document.getElementById('{heading}').getBoundingClientRect().top + scrollY"))


def save(page: Page, name: str, top: float, bottom: float) -> None:
    """Save a strip of the page."""
    strip = {"x": 0, "y": top, "width": WIDTH, "height": bottom - top}
    shot = Image.open(io.BytesIO(page.screenshot(full_page=True, clip=strip)))
    shot.convert("RGB").quantize(64).save(HERE / f"{name}.png", optimize=True)


def main() -> None:
    """Run the demo, and save the page's first screen and its sections."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        subprocess.run([sys.executable, "-m", "vestige", "demo", "--quiet", "--out", f"{folder}/run"], check=True)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 900})
        page.goto(Path(folder, "run", "report.html").as_uri())
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = false")
        save(page, "report", 0, height_of(page, "attacks"))
        for name, (following, most) in SECTIONS.items():
            top, bottom = height_of(page, name) - 10, height_of(page, following) - 10
            save(page, name, top, min(bottom, top + most))
        browser.close()


if __name__ == "__main__":
    main()
