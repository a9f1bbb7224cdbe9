"""What makes sense only as a whole, tried a few times."""

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from launcher.image.progress import duration
from launcher.image.source import limit, retry
from launcher.image.source.retry import Anew

logger = logging.getLogger("startvm")

T = TypeVar("T")

chance = random.SystemRandom().random


def anew(attempt: Callable[[bool], T], deadline: float) -> T:
    """The result of `attempt`, which is told whether it had better use one stream.

    :param deadline: of `time.monotonic()`; there is no other attempt after it.
    :raise Anew: the last one.
    """
    is_one_stream = False
    for number in range(1, retry.ROUNDS):
        try:
            return attempt(is_one_stream)
        except Anew as err:
            # Servers behind one name, each of which has an ETag of its own, never agree on what
            # parts are of. The last round needs none.
            is_one_stream |= err.is_one_stream or number == retry.ROUNDS - 1
            pause = retry.pause(number, chance())
            if limit.is_over(deadline - pause):
                raise
            logger.warning("%s; from the beginning in %s", err.message, duration(pause))
            time.sleep(pause)
    return attempt(is_one_stream)
