"""What replicas share for a while: how much each sender has sent, and which idempotency keys were used.

In memory by default; in Redis where its address is set, so that several gateways count as one. With Redis gone each
counts for itself, which is said in /readyz, and no upload is refused for it.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from time import monotonic, time
from typing import Protocol

import redis
from limits import RateLimitItemPerMinute, RateLimitItemPerSecond, storage, strategies

from inkstream.errors import SettingError
from inkstream.settings import GatewaySettings

log = logging.getLogger(__name__)

PREFIX = "inkstream:"
KEY_S = 24 * 3600
KEPT_KEYS = 100_000
AGAIN_S = 5.0
REDIS_S = 0.5


class Keys(Protocol):
    """Remembers values under keys for a day."""

    def remember(self, key: str, value: str) -> str | None:
        """Keep the value under the key, unless there is one: then that is returned."""
        ...


class MemoryKeys:
    """Of one process; at most KEPT_KEYS, the oldest go first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, str]] = OrderedDict()

    def remember(self, key: str, value: str) -> str | None:
        """As Keys.remember."""
        now = monotonic()
        with self._lock:
            while self._kept and (len(self._kept) > KEPT_KEYS or next(iter(self._kept.values()))[0] < now):
                self._kept.popitem(last=False)
            if key in self._kept:
                return self._kept[key][1]
            self._kept[key] = (now + KEY_S, value)
            return None


class RedisKeys:
    """Of all gateways that use this Redis."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def remember(self, key: str, value: str) -> str | None:
        """As Keys.remember. Raises redis.RedisError."""
        kept = self._client.set(f"{PREFIX}key:{key}", value, nx=True, get=True, ex=KEY_S)
        return kept.decode() if isinstance(kept, bytes) else None

    def close(self) -> None:
        """Close the pool that the limiter uses as well."""
        self._client.connection_pool.disconnect()


class Limits:
    """Rate limits and idempotency keys; never raises because Redis is gone. Calls may wait REDIS_S: not on the loop."""

    def __init__(self, gateway: GatewaySettings) -> None:
        self._limit = RateLimitItemPerMinute(gateway.uploads_per_minute) if gateway.uploads_per_minute else None
        self._tries = RateLimitItemPerSecond(gateway.uploads_per_second) if gateway.uploads_per_second else None
        self._own = (strategies.MovingWindowRateLimiter(storage.MemoryStorage()), MemoryKeys())
        self._shared: tuple[strategies.MovingWindowRateLimiter, RedisKeys] | None = None
        self._down_until = 0.0
        self._degraded = False
        url = gateway.redis_url.get_secret_value()
        if url:
            self._shared = self._connect(url)

    @staticmethod
    def _connect(url: str) -> tuple[strategies.MovingWindowRateLimiter, RedisKeys]:
        wait = {"socket_timeout": REDIS_S, "socket_connect_timeout": REDIS_S}
        try:
            client = redis.Redis.from_url(url, **wait)
            pool = client.connection_pool
            limiter = strategies.MovingWindowRateLimiter(
                storage.RedisStorage(url, connection_pool=pool, key_prefix=f"{PREFIX}limit")
            )
        except ValueError as error:
            raise SettingError(f"gateway.redis_url is no address of a Redis ({error}); redis://host:6379/0") from error
        return limiter, RedisKeys(client)

    def close(self) -> None:
        """Close the connections to Redis, if there are any."""
        if self._shared is not None:
            self._shared[1].close()

    @property
    def state(self) -> str:
        """memory, redis, or degraded: a Redis is set and does not answer, each gateway counts for itself."""
        if self._shared is None:
            return "memory"
        return "degraded" if self._degraded else "redis"

    def wait_s(self, sender: str, count: int = 1) -> float:
        """0 where the sender may send so many pictures now, and they are booked; else after how many seconds."""
        for limit in (self._tries, self._limit):
            if limit is None:
                continue
            for limiter, _ in self._stores():
                try:
                    if limiter.hit(limit, sender, cost=count):
                        self._answered(limiter)
                        break
                    return max(1.0, limiter.get_window_stats(limit, sender).reset_time - time())
                except redis.RedisError as error:
                    self._failed(error)
        return 0.0

    def remember(self, key: str, value: str) -> str | None:
        """The value that the key was first used with; None where it is new."""
        for limiter, keys in self._stores():
            try:
                kept = keys.remember(key, value)
                self._answered(limiter)
                return kept
            except redis.RedisError as error:
                self._failed(error)
        return None

    def _stores(self) -> list[tuple[strategies.MovingWindowRateLimiter, Keys]]:
        shared = [self._shared] if self._shared and monotonic() >= self._down_until else []
        return [*shared, self._own]

    def _answered(self, limiter: strategies.MovingWindowRateLimiter) -> None:
        if self._degraded and self._shared and limiter is self._shared[0]:
            log.warning("Redis is back, gateways count as one again")
            self._degraded = False

    def _failed(self, error: redis.RedisError) -> None:
        log.warning("Redis does not answer, this gateway counts for itself: %s", type(error).__name__)
        self._degraded = True
        self._down_until = monotonic() + AGAIN_S
