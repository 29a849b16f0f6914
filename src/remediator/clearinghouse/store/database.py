"""The engines of a store: SQLite in one file, or PostgreSQL by URL. Migrations run before anything else is done."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from remediator.artefacts import private_folder
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import Problem
from remediator.errors import ConfigError, StateError
from remediator.evidence.keys import KEY_FILE

FILE = "clearinghouse.sqlite"
LOCK = 0x52454D
"""The number of the PostgreSQL advisory lock that all writers share."""


class Database:
    """One database. `writing` gives the only connection that may change it at that moment, `reading` any of several."""

    def __init__(self, writer: AsyncEngine, reader: AsyncEngine, *, is_postgres: bool) -> None:
        self._writer = writer
        self._reader = reader
        self.is_postgres = is_postgres

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, data: Path) -> AsyncIterator[Database]:
        """Connect and migrate. Raises ConfigError for a URL of another kind, StateError where the database does not answer.

        Also ConfigError for an empty database in a folder whose ledger key was used before: it would sign another ledger than the one that
        its clients know.
        """
        private_folder(data)
        used = (data / "ledger" / KEY_FILE).exists()
        database = _postgres(url) if url.startswith(("postgresql:", "postgresql+psycopg:", "postgres:")) else _sqlite(url, data)
        if used and _has_no_file(database):
            raise _elsewhere(data)
        try:
            try:
                async with database._writer.begin() as connection:
                    if database.is_postgres:
                        await connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": LOCK})
                    if used and await connection.run_sync(_is_empty):
                        raise _elsewhere(data)
                    await connection.run_sync(_migrate)
            except SQLAlchemyError as error:
                raise StateError(f"the database does not answer: {_first_line(error)}", hint="check the URL and that it runs") from error
            yield database
        finally:
            await database._writer.dispose()
            await database._reader.dispose()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """One transaction that keeps every other writer out, of this process and of others. Raises RefusedError: unavailable."""
        with_error: Exception | None = None
        try:
            async with self._writer.begin() as connection:
                if self.is_postgres:
                    await connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": LOCK})
                yield connection
        except (OperationalError, InterfaceError, PoolTimeoutError, OSError) as error:
            with_error = error
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            with_error = error
        if with_error is not None:
            raise unavailable(with_error) from with_error

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """One consistent view. Raises RefusedError: unavailable."""
        try:
            async with self._reader.connect() as connection:
                yield connection
        except (OperationalError, InterfaceError, PoolTimeoutError, OSError) as error:
            raise unavailable(error) from error


def unavailable(error: BaseException) -> RefusedError:
    """Return what a database that is gone, locked or full means for whoever asks: nothing was done, ask again."""
    full = "full" in str(error).lower()
    detail = "no room is left where the database lies" if full else "the database does not answer"
    return RefusedError(Problem.unavailable, detail, hint="nothing was changed; try again", retry_after_seconds=5)


def _sqlite(url: str, data: Path) -> Database:
    if url not in ("", "sqlite") and not url.startswith("sqlite:///"):
        raise ConfigError(f"{url.split('://')[0]!r} is no database that is known", hint="sqlite, or postgresql://USER@HOST/NAME")
    path = Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else data / FILE
    address = f"sqlite+aiosqlite:///{path}"
    writer = create_async_engine(address, pool_size=1, max_overflow=0, connect_args={"timeout": 30})
    reader = create_async_engine(address, pool_size=8, max_overflow=0, connect_args={"timeout": 30})
    for engine, begin in ((writer, "BEGIN IMMEDIATE"), (reader, "BEGIN")):
        _prepare(engine, begin)
    return Database(writer, reader, is_postgres=False)


def _prepare(engine: AsyncEngine, begin: str) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we begin ourselves: the driver would begin too late for a snapshot
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


def _postgres(url: str) -> Database:
    address = "postgresql+psycopg://" + url.split("://", 1)[1]
    # Never prepared: a plan that was made for an empty table is kept, and reads the whole table once it has grown.
    options: dict[str, Any] = {"pool_pre_ping": True, "pool_timeout": 30, "connect_args": {"prepare_threshold": None}}
    writer = create_async_engine(address, pool_size=1, max_overflow=0, **options)
    # One view for all that one answer is made of, as SQLite gives it: else the feed has lines that its head knows nothing of.
    reader = create_async_engine(address, pool_size=8, max_overflow=4, isolation_level="REPEATABLE READ", **options)
    return Database(writer, reader, is_postgres=True)


def _has_no_file(database: Database) -> bool:
    # Connecting makes an empty one.
    return not database.is_postgres and not Path(str(database._writer.url.database)).exists()


def _elsewhere(data: Path) -> ConfigError:
    return ConfigError(
        f"the clearinghouse in {data} has its records in another database: this one is empty",
        hint="--database names the one that it is served with; or bring back a copy of it",
    )


def _is_empty(connection: Connection) -> bool:
    from alembic.migration import MigrationContext

    return MigrationContext.configure(connection).get_current_revision() is None


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(resources.files("remediator.clearinghouse.store") / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _first_line(error: Exception) -> str:
    # Drivers put the whole statement, and sometimes the URL, behind the first line.
    return str(error).splitlines()[0][:200]
