"""Kombu's Redis transport, with a worker that is not deaf after a restart of Redis.

An acknowledgement that meets a broken connection fails, Celery logs it and goes on; but the message stays in
the channel's list of messages at work, and with one message at a time the worker never asks for another. It
does not notice the broken connection either, because it asks for nothing. Here the message leaves that list
whatever becomes of the acknowledgement: the next request meets the broken connection and reconnects. Redis
may deliver the message again; it finds its job taken or done.

Imported when a broker URL of Redis is used; the library is an extra.
"""

from __future__ import annotations

from kombu.transport import redis, virtual


class QoS(redis.QoS):
    """Messages at work, of which a failed acknowledgement or refusal leaves none behind."""

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message, and count it as done with even when Redis is away."""
        try:
            super().ack(delivery_tag)
        except Exception:
            virtual.QoS.ack(self, delivery_tag)
            raise

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Refuse a message, likewise."""
        try:
            super().reject(delivery_tag, requeue=requeue)
        except Exception:
            virtual.QoS.ack(self, delivery_tag)
            raise


class Channel(redis.Channel):
    """A channel of one Redis."""

    QoS = QoS


class Transport(redis.Transport):
    """Redis; named in ``broker_transport`` by this path."""

    Channel = Channel


class SentinelChannel(redis.SentinelChannel):
    """A channel of the Redis that the sentinels name."""

    QoS = QoS


class SentinelTransport(redis.SentinelTransport):
    """Redis behind sentinels, likewise."""

    Channel = SentinelChannel
