"""Typed settings of the service, from the environment (``RADSUITE_*``) and an optional TOML file.

Nothing is read when this module is imported; :func:`load_settings` reads once and gives a frozen object that
is handed on as an argument. The same object, turned back into environment variables by
:func:`to_environment`, reaches the child processes of ``radsuite serve``.
"""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from suite.access_secret import MIN_SECRET_LENGTH, check_secret
from suite.addresses import is_local_host
from suite.dicom.network.settings import DicomNetworkSettings
from suite.errors import RecipeError, StorageError, UnreadableFileError
from suite.settings_refusal import refusal

PREFIX = "RADSUITE_"
CONFIG_VARIABLE = "RADSUITE_CONFIG"


def default_data_folder() -> Path:
    """``$XDG_DATA_HOME/radsuite``, or ``~/.local/share/radsuite`` where that is not set."""
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "radsuite"


class Settings(DicomNetworkSettings, BaseSettings):
    """Everything the service can be told. Frozen; every field is also an environment variable.

    The DICOM side's fields are described where they are declared (:mod:`suite.dicom.network.settings`).

    Attributes:
        data: folder of the database, the queue and all studies.
        database_url: SQLAlchemy URL; ``None`` is SQLite inside ``data``.
        broker_url: Celery broker URL; ``None`` is a queue of files inside ``data``.
        host, port: where the pages are served. A host that others can reach needs ``secret``.
        secret: access token of the pages, at least 16 characters; ``None`` means no login, local use only.
        sign_in: ask for a sign-in also where only this computer can reach the pages.
        session_minutes: how long a sign-in lasts.
        public_url: the ``https://`` address under which a proxy that ends TLS serves the pages; needed for a
            host that others can reach.
        proxy_hops: how many proxies stand in front and set ``X-Forwarded-For`` and ``-Proto``.
        waiting_cap_minutes: waiting time after which a study is next in the triage order.
        oidc_issuer, oidc_client_id, oidc_client_secret: sign-in by OpenID Connect; all three or none.
        oidc_name_claim: claim that names the user.
        oidc_role_claim: claim that holds a word or a list of words, such as groups.
        oidc_roles: role by such a word; who has none of them is not let in.
        oidc_session_minutes: how long a sign-in by the provider lasts, where that is shorter than
            ``session_minutes``; only the next one asks the provider again.
        max_upload_mb: largest upload in one request, in megabytes (10^6 bytes).
        store_url: where films and readings are: an fsspec URL such as ``s3://bucket/radsuite``; ``None`` is
            ``data``. With a URL, ``data`` holds copies only.
        device: where networks run: ``auto``, ``cpu`` or ``cuda``.
        threads: threads that one worker's networks use; ``None`` is one a core. Several workers on one
            machine share its cores: give each its part.
        reading_queue: the queue readings are put into: ``cpu`` or ``gpu``.
        queues: the queues a worker takes jobs from.
        train_worker: let ``radsuite serve`` also start a worker for the queue ``train``.
        stage_tasks: ``study``: one worker reads a study from end to end; ``stage``: stages that do not need
            each other are offered to other workers.
        stages: stages to run, or ``None`` for all installed.
        calibration_folder: recalibrated model cards to read by; ``None`` is ``calibration`` inside ``data``,
            where ``radsuite calibrate --apply`` puts them, if that folder is there.
        lease_seconds: how long a job stays with a worker that gives no sign of life.
        heartbeat_seconds: how often a worker gives that sign; less than half of ``lease_seconds``.
        sweep_seconds: how often expired leases and lost messages are looked for.
        resend_seconds: age at which a queued job's message may be taken for lost.
        job_limit_seconds: running time after which a worker gives up on a job and is restarted.
        max_attempts: how often a job is begun before it counts as failed.
        poll_seconds: how often the embedded queue looks for work.
        web_threads: requests served at the same time.
        log_format: ``text`` for people, ``json`` for collectors of logs.

    Raises:
        pydantic.ValidationError: a value is outside its range; :func:`load_settings` turns this into one
        sentence.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    data: Path = Field(default_factory=default_data_folder)
    database_url: str | None = None
    broker_url: str | None = None
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)
    secret: SecretStr | None = None
    sign_in: bool = False
    session_minutes: int = Field(default=720, ge=1, le=10_080)
    public_url: str | None = None
    proxy_hops: int = Field(default=1, ge=1, le=8)
    waiting_cap_minutes: float = Field(default=240.0, gt=0)
    oidc_issuer: str | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: SecretStr | None = None
    oidc_name_claim: str = "preferred_username"
    oidc_role_claim: str = "roles"
    oidc_roles: dict[str, Literal["reader", "researcher", "admin"]] = Field(default_factory=dict)
    oidc_session_minutes: int = Field(default=240, ge=1, le=10_080)
    max_upload_mb: int = Field(default=512, ge=1, le=16_384)
    store_url: str | None = None
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda)$")
    threads: int | None = Field(default=None, ge=1, le=1024)
    reading_queue: Literal["cpu", "gpu"] = "cpu"
    queues: tuple[Literal["cpu", "gpu", "train"], ...] = ("cpu", "gpu")
    train_worker: bool = False
    stage_tasks: Literal["study", "stage"] = "study"
    stages: tuple[str, ...] | None = None
    calibration_folder: Path | None = None
    lease_seconds: float = Field(default=30.0, gt=0)
    heartbeat_seconds: float = Field(default=5.0, gt=0)
    sweep_seconds: float = Field(default=5.0, gt=0)
    resend_seconds: float = Field(default=30.0, gt=0)
    job_limit_seconds: float = Field(default=1800.0, gt=0)
    max_attempts: int = Field(default=3, ge=1, le=100)
    poll_seconds: float = Field(default=0.05, gt=0, le=10)
    web_threads: int = Field(default=16, ge=1, le=256)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["text", "json"] = "text"

    @field_validator("data")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("calibration_folder")
    @classmethod
    def _absolute_if_given(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            check_secret(value.get_secret_value())
        return value

    @field_validator("public_url")
    @classmethod
    def _behind_tls(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "https://host")
        if parts.scheme != "https" or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError("is no address such as https://radsuite.example.org, without a path")
        return value and f"https://{parts.netloc}"

    @field_validator("oidc_issuer")
    @classmethod
    def _sound_issuer(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "https://host")
        if not parts.hostname or (parts.scheme != "https" and not is_local_host(parts.hostname)):
            raise ValueError("is no https:// address of an OpenID provider")
        return value and value.rstrip("/")

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        if not self.host:
            raise ValueError("host is empty; give an address such as 127.0.0.1")
        if self.secret is None and not is_local_host(self.host):
            raise ValueError(
                f"host {self.host} can be reached by others, so a secret is needed: set {PREFIX}SECRET to at "
                f"least {MIN_SECRET_LENGTH} characters, or serve on 127.0.0.1"
            )
        if self.public_url is None and not is_local_host(self.host):
            raise ValueError(
                f"host {self.host} can be reached by others, and the pages speak plain HTTP: put a proxy "
                f"that ends TLS in front and set {PREFIX}PUBLIC_URL to its https:// address, or serve on "
                "127.0.0.1"
            )
        if self.public_url is not None and not self.needs_sign_in:
            raise ValueError(
                f"public_url is set, so others can reach the pages: set {PREFIX}SECRET to at least "
                f"{MIN_SECRET_LENGTH} characters, or {PREFIX}SIGN_IN=yes once there are users"
            )
        if (
            len({value is None for value in (self.oidc_issuer, self.oidc_client_id, self.oidc_client_secret)})
            > 1
        ):
            raise ValueError("oidc_issuer, oidc_client_id and oidc_client_secret go together; set all three")
        if self.oidc_issuer is not None and not self.oidc_roles:
            raise ValueError(
                f"oidc_roles is empty, so nobody would be let in; set {PREFIX}OIDC_ROLES to JSON such as "
                '{"radiology": "reader"}'
            )
        if self.heartbeat_seconds * 2 >= self.lease_seconds:
            raise ValueError(
                f"heartbeat_seconds {self.heartbeat_seconds:g} is not below half of lease_seconds "
                f"{self.lease_seconds:g}; a live worker would lose its job"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments win over the environment; a file is merged in by :func:`load_settings`."""
        return init_settings, env_settings

    @property
    def needs_sign_in(self) -> bool:
        """Whether nobody is let in without saying who they are."""
        return self.sign_in or self.secret is not None or self.oidc_issuer is not None

    @property
    def max_upload_bytes(self) -> int:
        """Largest upload in bytes."""
        return self.max_upload_mb * 1_000_000

    @property
    def calibration(self) -> Path | None:
        """The folder of the calibration in force; ``None``: the networks read by their own.

        Raises:
            StorageError: the data folder may not be looked into.
        """
        if self.calibration_folder is not None:
            return self.calibration_folder
        own = self.data / "calibration"
        try:
            return own if own.is_dir() else None
        except OSError as error:  # what is in force there is not known, and must not be left out unsaid
            raise StorageError(
                f"{own}: cannot be looked at ({error.strerror}); check its rights, or set {PREFIX}DATA to a "
                "folder of your own."
            ) from error

    @property
    def resolved_database_url(self) -> str:
        """The database URL, with the embedded default filled in."""
        return self.database_url or f"sqlite:///{self.data / 'radsuite.sqlite3'}"

    @property
    def base_url(self) -> str:
        """Address of the pages as typed into a browser."""
        host = f"[{self.host}]" if ":" in self.host and not self.host.startswith("[") else self.host
        return f"http://{host}:{self.port}/"


def load_settings(config: Path | None = None, **overrides: Any) -> Settings:
    """Read the settings: ``overrides`` win over the environment, which wins over the file, over the defaults.

    Args:
        config: TOML file with the field names as keys; ``None`` takes ``RADSUITE_CONFIG`` where it is set.
        **overrides: fields given on the command line; ``None`` values count as not given.

    Raises:
        UnreadableFileError: the file is missing or is not TOML.
        RecipeError: an unknown key or a value of the wrong type or range; names key, value and what is
        wanted.
    """
    named = config or (Path(os.environ[CONFIG_VARIABLE]) if os.environ.get(CONFIG_VARIABLE) else None)
    values = _read_file(named) if named else {}
    environment = {name for name in Settings.model_fields if os.environ.get(f"{PREFIX}{name.upper()}")}
    values = {key: value for key, value in values.items() if key not in environment}
    values.update({key: value for key, value in overrides.items() if value is not None})
    try:
        return Settings(**values)
    except ValidationError as error:
        raise RecipeError(refusal(error, Settings.model_fields, PREFIX, named)) from error
    except ValueError as error:  # a list or tuple in the environment that is not JSON
        raise RecipeError(
            f'Settings: {error}; lists are written as JSON, such as ["gate", "lungs"].'
        ) from error


def to_environment(settings: Settings) -> dict[str, str]:
    """The settings as environment variables for a child process; a secret stays readable there."""
    variables: dict[str, str] = {}
    for name, value in settings.model_dump(mode="json", exclude_none=True).items():
        secret = getattr(settings, name)
        if isinstance(secret, SecretStr):
            variables[PREFIX + name.upper()] = secret.get_secret_value()
        elif isinstance(value, list | dict):
            variables[PREFIX + name.upper()] = json.dumps(value)
        else:
            variables[PREFIX + name.upper()] = str(value)
    return variables


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UnreadableFileError(
            f"{path}: the settings file cannot be read ({error.strerror}); check {CONFIG_VARIABLE}."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UnreadableFileError(f"{path}: not a TOML file ({error}); correct that line.") from error
