"""How what an extra needs is installed: by its packages, for on an index the name `vestige` may be somebody else's."""

import re
from importlib.metadata import requires


def installing(extra: str) -> str:
    """Return the command that installs the packages of one of our extras, in a checkout as well as beside a wheel.

    Args:
        extra: The extra; of a name that is none, the package itself is installed.

    Example:
        >>> installing("ray")
        "pip install 'ray>=2.40'"
    """
    of_extra = re.compile(rf"""(?!vestige)([^;]+?) *;.*extra == ["']{extra}["']""")
    found = [of_extra.match(one) for one in requires("vestige") or ()]
    packages = sorted(f"'{one[1]}'" for one in found if one)
    return f"pip install {' '.join(packages) or extra}"
