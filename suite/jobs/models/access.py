"""Who may do what, and what was done: users, tokens, repeated requests, the audit trail."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from suite.jobs.models.base import Base


class User(Base):
    """A person, or a program, that signs in.

    Attributes:
        password_hash: in Argon2's own encoding; ``None`` for those who use tokens only.
        role: ``reader``, ``researcher`` or ``admin``.
        locked_until: no sign-in before this, after too many wrong passwords.
        oidc_issuer, oidc_subject: who this is at an OpenID provider (``iss``, ``sub``); both or neither.
        oidc_expected_until: until then, whoever the provider calls by this name becomes that one.
    """

    __tablename__ = "user_account"  # "user" is a keyword of SQL
    __table_args__ = (
        CheckConstraint("role IN ('reader', 'researcher', 'admin')", name="user_role_known"),
        Index("user_oidc_once", "oidc_issuer", "oidc_subject", unique=True),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(128), unique=True)
    password_hash: Mapped[str | None] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[float]
    disabled_at: Mapped[float | None]
    failed_logins: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[float | None]
    oidc_issuer: Mapped[str | None] = mapped_column(String(255))
    oidc_subject: Mapped[str | None] = mapped_column(String(255))
    oidc_expected_until: Mapped[float | None]

    tokens: Mapped[list[Token]] = relationship(back_populates="user", cascade="all, delete-orphan")


class Token(Base):
    """A key for programs. Only its sha256 is kept."""

    __tablename__ = "token"
    __table_args__ = (UniqueConstraint("user_id", "name", name="token_name_once"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(128))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]]
    created_at: Mapped[float]
    expires_at: Mapped[float | None]
    revoked_at: Mapped[float | None]
    last_used_at: Mapped[float | None]

    user: Mapped[User] = relationship(back_populates="tokens")


class SignInLink(Base):
    """A link that lets a user in once. Only the sha256 of its key is kept."""

    __tablename__ = "sign_in_link"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[float]
    expires_at: Mapped[float]
    used_at: Mapped[float | None]


class IdempotencyKey(Base):
    """The answer to a request that may be sent again.

    Attributes:
        key: chosen by the sender; unique for each owner.
        request_sha256: the same key with another request is refused.
        status, body: the answer; ``None`` while the first request is at work.
    """

    __tablename__ = "idempotency_key"
    __table_args__ = (UniqueConstraint("owner", "key", name="idempotency_key_once"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    owner: Mapped[str] = mapped_column(String(128))
    key: Mapped[str] = mapped_column(String(255))
    request_sha256: Mapped[str] = mapped_column(String(64))
    status: Mapped[int | None]
    body: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[float] = mapped_column(index=True)


class AuditEvent(Base):
    """One line of the audit trail; added to, never changed.

    Attributes:
        actor: user name, application entity title, or ``system``.
        action: ``noun.verb``, such as ``study.opened``.
        subject: id of what it was done to.
        address: network address it came from.
    """

    __tablename__ = "audit_event"
    __table_args__ = (Index("audit_actor_at", "actor", "at"), Index("audit_subject_at", "subject", "at"))

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    at: Mapped[float] = mapped_column(index=True)
    actor: Mapped[str] = mapped_column(String(128))
    action: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str | None] = mapped_column(String(255))
    detail: Mapped[dict[str, Any] | None]
    address: Mapped[str | None] = mapped_column(String(64))
