"""Private redis-server, rabbitmq-server and PostgreSQL on free ports and in temporary folders."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import trustme

from suite.jobs.children import parent_death_signal
from tests.ports import free_port

START_SECONDS = 120.0
"""RabbitMQ needs 4 s of a free core; a busy machine takes longer."""

NODE_SECONDS = 30.0
"""How long an Erlang node that was killed may take to be gone."""

PACKAGES = {"redis": "redis-server", "rabbitmq": "rabbitmq-server", "postgres": "postgresql"}
_RABBIT = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


class MissingServerError(Exception):
    """A server's program is not installed; the message says what to install."""


@dataclass
class Server:
    """One server process, and how it is reached; ``tls_url`` names the authority it is checked against.

    ``stop_signal`` ends it in good order, to be started again; ``last_signal`` ends it when its files go too.
    """

    url: str
    port: int
    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    ready: Callable[[], bool] = bool
    stop_signal: signal.Signals = signal.SIGTERM
    last_signal: signal.Signals | None = None
    process: subprocess.Popen[bytes] | None = None
    tls_url: str = ""

    def start(self) -> Server:
        """Start it, and wait until it answers."""
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                list(self.command),
                cwd=self.folder,
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=log,
                user=self.user,
                start_new_session=True,
                preexec_fn=parent_death_signal(os.getpid()) if sys.platform == "linux" else None,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "server.log").read_text()[-2000:])
            time.sleep(0.1)
        return self

    def stop(self, number: signal.Signals | None = None) -> None:
        """End it: with its own signal, or at once with SIGKILL."""
        if self.process is None:
            return
        os.killpg(self.process.pid, number or self.stop_signal)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(30)
        self.process = None

    def close(self) -> None:
        """End it and remove its folder."""
        self.stop(self.last_signal)
        if names := self.environment.get("ERL_EPMD_PORT"):
            _end_name_server(names)
        shutil.rmtree(self.folder, ignore_errors=True)


def _end_name_server(port: str) -> None:
    """Erlang's stays behind, and this one is ours alone; it refuses to end before its last node has ended."""
    deadline = time.monotonic() + NODE_SECONDS
    command = ["epmd", "-port", port, "-kill"]
    while b"living nodes" in subprocess.run(command, capture_output=True, check=False).stdout:
        if time.monotonic() > deadline:
            raise RuntimeError(f"an Erlang node on the name server at port {port} does not end; end it.")
        time.sleep(0.1)


def redis_server() -> Server:
    """Redis that keeps nothing on the disk: what it held is lost when it ends."""
    program = _program("redis", shutil.which("redis-server"))
    folder, port, tls_port = _folder("redis"), free_port(), free_port()
    pair, authority = certificates(folder)
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    command += ["--tls-port", str(tls_port), "--tls-cert-file", str(pair), "--tls-key-file", str(pair)]
    command += ["--tls-ca-cert-file", str(authority), "--tls-auth-clients", "no"]
    return Server(
        f"redis://127.0.0.1:{port}/0",
        port,
        command,
        folder,
        ready=lambda: _listens(port),
        tls_url=f"rediss://127.0.0.1:{tls_port}/0?ssl_ca_certs={authority}",
    )


def rabbitmq_server() -> Server:
    """RabbitMQ with a node, a name server and files of its own."""
    program = _program("rabbitmq", str(_RABBIT) if _RABBIT.exists() else None)
    folder, port, names, peers, tls_port = _folder("rabbitmq"), *(free_port() for _ in range(4))
    pair, authority = certificates(folder)
    (folder / "plugins").write_text("[].")
    (folder / "rabbitmq.conf").write_text(
        f"listeners.tcp.1 = 127.0.0.1:{port}\ndisk_free_limit.absolute = 50MB\nlog.console.level = warning\n"
        f"listeners.ssl.1 = 127.0.0.1:{tls_port}\nssl_options.certfile = {pair}\n"
        f"ssl_options.keyfile = {pair}\nssl_options.cacertfile = {authority}\n"
    )
    environment = {
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"radsuite{port}@localhost",
        "RABBITMQ_DIST_PORT": str(peers),
        "ERL_EPMD_PORT": str(names),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1",
    }
    url = f"amqp://guest:guest@127.0.0.1:{port}//"
    tls_url = f"amqps://guest:guest@127.0.0.1:{tls_port}//?ssl_ca_certs={authority}"
    return Server(
        url,
        port,
        [program],
        folder,
        environment,
        ready=lambda: _speaks_amqp(port),
        last_signal=signal.SIGKILL,  # its files go too: there is nothing to put in order
        tls_url=tls_url,
    )


def postgres_server() -> Server:
    """PostgreSQL with an empty cluster; it refuses to run as root, so root runs it as ``postgres``."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    program = _program("postgres", str(found[-1]) if found else shutil.which("postgres"))
    folder, port = _folder("postgres"), free_port()
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    initdb = str(Path(program).with_name("initdb"))
    cluster = str(folder / "cluster")
    subprocess.run(
        [initdb, "-D", cluster, "-U", "radsuite", "-A", "trust", "-E", "UTF8", "--locale", "C", "--no-sync"],
        check=True,
        capture_output=True,
        user=user,
        cwd=folder,
    )
    # fsync off: processes die here, not machines, and a shutdown must not wait for a busy disk
    options = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "shared_buffers=16MB", "fsync=off")
    command = [program, "-D", cluster, "-p", str(port), *(part for it in options for part in ("-c", it))]
    return Server(
        f"postgresql://radsuite@127.0.0.1:{port}/postgres",
        port,
        command,
        folder,
        user=user,
        ready=lambda: _takes_queries(port),
        stop_signal=signal.SIGINT,
    )


def new_database(server: Server) -> str:
    """URL of a fresh database in a PostgreSQL server."""
    import psycopg

    name = f"battery_{os.urandom(4).hex()}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return server.url.rpartition("/")[0] + f"/{name}"


def certificates(folder: Path) -> tuple[Path, Path]:
    """A key with its certificate for this computer, and the private authority that signed it: PEM files."""
    authority = trustme.CA()
    pair, trusted = folder / "server.pem", folder / "authority.pem"
    authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(str(pair))
    authority.cert_pem.write_to_path(str(trusted))
    return pair, trusted


def _program(name: str, path: str | None) -> str:
    if path is None:
        raise MissingServerError(f"{name} is not installed; apt install {PACKAGES[name]}")
    return path


def _folder(name: str) -> Path:
    # not pytest's own: PostgreSQL's user must be able to get there
    return Path(tempfile.mkdtemp(prefix=f"radsuite-{name}-", dir="/tmp"))


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False


def _speaks_amqp(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 2) as connection:
            connection.settimeout(2)
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return len(connection.recv(8)) > 0
    except OSError:
        return False


def _takes_queries(port: int) -> bool:
    import psycopg

    try:
        psycopg.connect(f"postgresql://radsuite@127.0.0.1:{port}/postgres", connect_timeout=2).close()
    except psycopg.Error:
        return False
    return True
