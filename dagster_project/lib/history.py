"""The run history's storage: Dagster's own SQLite one, kept open and not synced at every event.

Dagster opens, prepares, syncs and closes the file for every event, which takes some 8 ms. A load
and its build are a thousand events: the history took longer to write than the files to load.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

# The path Dagster's manual gives for dagster.yaml; there is no shorter one.
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine, event

# One run's file and the index are in use at a time; the UI looks at a few runs more.
_OPEN_FILES = 8
_BUSY_SECONDS = 30


class RunHistory(SqliteEventLogStorage):
    """Named in home/dagster/dagster.yaml. The same files as Dagster's own: either reads them."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> RunHistory:
        """Dagster's own makes an instance of its class, whatever the class named."""
        return cls(inst_data=inst_data, **config_value)

    def has_table(self, table_name: str) -> bool:
        """Asked for every event; what is there once stays."""
        there: set[str] = self.__dict__.setdefault("_tables", set())
        if table_name not in there and super().has_table(table_name):
            there.add(table_name)
        return table_name in there

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock, self._engine(shard).connect() as conn, conn.begin():
            yield conn

    def _engine(self, shard: str) -> Engine:
        engines: OrderedDict[str, Engine] = self.__dict__.setdefault("_engines", OrderedDict())
        if shard not in engines:
            engine = create_engine(
                self.conn_string_for_shard(shard), connect_args={"timeout": _BUSY_SECONDS}
            )
            event.listen(engine, "connect", _without_syncs)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            engines[shard] = engine
        engines.move_to_end(shard)
        while len(engines) > _OPEN_FILES:
            engines.popitem(last=False)[1].dispose()
        return engines[shard]


def _without_syncs(connection: Any, _: Any) -> None:
    """A killed process loses nothing by it; a power cut the last events, never the file.

    The history tells what runs did. What they did is in archive, journal and ledger, which are
    synced.
    """
    connection.execute("pragma synchronous = normal")
