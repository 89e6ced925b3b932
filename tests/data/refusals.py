"""How the tests of this room look at a complaint."""

from collections.abc import Callable
from typing import Any

import pytest

from vestige.core.errors import InputError


def refused(call: Callable[[], Any], *essentials: str) -> str:
    """Return the message of the `InputError` a call raises: one line, naming a file once, no folders in it."""
    with pytest.raises(InputError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert "/tmp" not in message
    assert "pytest-of" not in message
    prefix = message.split(": ")[0]
    assert message.count(f"{prefix}: ") <= 1, message
    missing = [e for e in essentials if e not in message]
    assert not missing, f"{missing} not in: {message}"
    return message
