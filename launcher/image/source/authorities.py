"""The certificate authorities to trust, where the environment names some.

requests says of a file that is missing that it failed, and of one that is broken that TLS did.
"""

import os
import ssl
from pathlib import Path

from launcher.host.errors import InputMissing

# As requests looks for them.
NAMES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def check() -> None:
    """Have a look at the file, before anybody is asked for anything with it.

    :raise InputMissing: when it cannot be read, or has no certificate in it.
    """
    name = next((each for each in NAMES if os.environ.get(each)), None)
    if name is None:
        return
    path = Path(os.environ[name])
    if path.is_dir():
        return
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError:
        raise InputMissing(
            f"{name}={str(path)!r} has no certificate in it that can be read",
            hint="accepted: PEM, `-----BEGIN CERTIFICATE-----` and so on",
        ) from None
    except OSError as err:
        raise InputMissing(
            f"{name}={str(path)!r} cannot be read: {err.strerror or err}",
            hint="the path is one in the container; is the ConfigMap mounted, with that key?",
        ) from err
