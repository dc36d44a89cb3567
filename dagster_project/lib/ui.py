"""The UI of a home: Dagster's web application behind the guard, its daemons and its code server.

Two processes: this one, and the code server that reads the definitions and starts a process a run.
`dagster dev` has five, and its web server is open to whoever reaches the port.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import dagster as dg
import uvicorn

# Dagster has no public way to put a layer before its web application; its versions are pinned.
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.remote_representation.code_location import GrpcServerCodeLocation
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster._daemon.controller import DagsterDaemonController, create_daemons_from_instance
from dagster_webserver.app import create_app_from_workspace_process_context

from dagster_project.defs import writer
from dagster_project.lib.guard import Guard
from dagster_project.lib.running import close_dead
from dagster_project.lib.settings import REPOSITORY, Settings

# Without a name of its own: schedules that were switched off are remembered by the module's.
_DEFINITIONS = ModuleTarget("dagster_project.definitions", None, str(REPOSITORY), None)
_LOOK_SECONDS = 5.0
# A browser that keeps its connection open does not keep the UI from ending.
_PATIENCE_SECONDS = 5


def serve(settings: Settings, listening: socket.socket, token: str) -> None:
    """Serve until SIGINT or SIGTERM. `listening` is bound, and listened on from here."""
    os.environ.update(settings.environment())
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A shell hands ignored signals down to what it starts in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _tell_what_daemons_do()
    with ExitStack() as stack:
        instance = stack.enter_context(dg.DagsterInstance.get())
        # Dagster would learn of the pool from the first runs that wait for it, and start them all.
        instance.event_log_storage.initialize_concurrency_limit_to_default(writer.POOL)
        workspace = stack.enter_context(
            WorkspaceProcessContext(
                instance, _DEFINITIONS, version=dg.__version__, code_server_log_level="warning"
            )
        )
        daemons = [stack.enter_context(one) for one in create_daemons_from_instance(instance)]
        controller = stack.enter_context(DagsterDaemonController(workspace, daemons))
        web = stack.enter_context(_web_server(workspace, listening, token))
        while web.is_alive():
            web.join(_LOOK_SECONDS)
            controller.check_daemon_threads()
            # In this order: what was killed is begun again, and that needs a code server.
            _revive(workspace)
            close_dead(instance)


def _tell_what_daemons_do() -> None:
    told = logging.StreamHandler()
    told.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
    logging.getLogger("dagster").addHandler(told)
    logging.getLogger("dagster").setLevel(logging.INFO)


@contextmanager
def _web_server(
    workspace: WorkspaceProcessContext, listening: socket.socket, token: str
) -> Iterator[threading.Thread]:
    app = create_app_from_workspace_process_context(workspace, live_data_poll_rate=2000)
    server = uvicorn.Server(
        uvicorn.Config(
            Guard(app, token, listening.getsockname()[1]),
            log_level="warning",
            timeout_graceful_shutdown=_PATIENCE_SECONDS,
        )
    )
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listening]}, name="web", daemon=True
    )
    thread.start()
    try:
        yield thread
    finally:
        server.should_exit = True
        thread.join(2 * _PATIENCE_SECONDS)


def _revive(workspace: WorkspaceProcessContext) -> None:
    """Start a new code server in place of one that was killed."""
    for name, entry in workspace.get_current_workspace().code_location_entries.items():
        if not isinstance(entry.code_location, GrpcServerCodeLocation):
            continue  # its code cannot be loaded, and the UI says why
        try:
            entry.code_location.client.ping("")
        except DagsterUserCodeUnreachableError:
            logging.getLogger("dagster").warning("The code server ended; starting another")
            workspace.reload_code_location(name)
