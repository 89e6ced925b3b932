"""What a process that draws does: one chart or page a line in, one line out. It is a script and imports none of ours.

The renderer may end the whole process or never come back; this one is there to be lost.
"""

import base64
import json
import os
import signal
import sys
import threading
from contextlib import suppress
from typing import BinaryIO

_IDLE = 120.0  # seconds without a chart, after which the process ends


def main(place: str) -> None:
    """Draw what comes; `place` is where the renderer is installed."""
    sys.path.append(place)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for the one who started this
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # no core dump of a picture that failed
    import vl_convert

    # Once, while others compute: the first picture takes twenty times as long as the others.
    vl_convert.vegalite_to_svg({"data": {"values": [{"a": 1}]}, "mark": "point"}, allowed_base_urls=[])
    source, drain = sys.stdin.buffer, sys.stdout.buffer
    while line := _next_line(source):
        try:
            asked = json.loads(line)
            if "page" in asked:
                answer = {"pdf": base64.b64encode(vl_convert.svg_to_pdf(asked["page"])).decode()}
            else:
                answer = {"svg": str(vl_convert.vegalite_to_svg(asked, allowed_base_urls=[]))}
        except Exception as error:
            answer = {"error": type(error).__name__}
        drain.write(json.dumps(answer).encode() + b"\n")
        drain.flush()


def _next_line(source: BinaryIO) -> bytes:
    """Return the next chart; the process ends where none comes for long."""
    idle = threading.Timer(_IDLE, os._exit, (0,))
    idle.daemon = True
    idle.start()
    try:
        return source.readline()
    finally:
        idle.cancel()


if __name__ == "__main__":
    main(sys.argv[1])
