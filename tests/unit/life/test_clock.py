"""The faked time is worth as much as the tests that rely on it."""

import asyncio
import time

import pytest

from tests.unit.life import clock


def test_an_hour_takes_no_time() -> None:
    async def sleep() -> list[float]:
        loop = asyncio.get_running_loop()
        times = [loop.time()]
        await asyncio.gather(asyncio.sleep(3600), asyncio.sleep(1))
        return [*times, loop.time()]

    begun = time.monotonic()
    assert clock.run(sleep()) == pytest.approx([0, 3600])
    assert time.monotonic() - begun < 1


def test_a_timeout_that_was_cancelled_does_not_pass() -> None:
    async def wait() -> float:
        async with asyncio.timeout(60):
            await asyncio.sleep(1)
        await asyncio.sleep(1)
        return asyncio.get_running_loop().time()

    assert clock.run(wait()) == pytest.approx(2)


def test_a_deadlock_is_told() -> None:
    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(AssertionError, match="everybody waits"):
        clock.run(wait())
