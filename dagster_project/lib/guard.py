"""Who may ask the UI, and for what: a layer in front of Dagster's web application.

Dagster asks nobody who they are and runs a mutation whatever page it comes from. Here a request has
to name this machine, to come from a page of the UI itself, and to bring the token that was printed
when the UI was started. What a run may do is no matter of this layer.
"""

from __future__ import annotations

import re
import secrets

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PARAMETER = "token"

# Whatever the port: through SSH it is another one. A name of somebody's own that leads to this
# machine is none of these, whoever answers for it.
_HOST = re.compile(r"(127\.0\.0\.1|localhost)(:[0-9]{1,5})?")
_JSON = "application/json"


class RefusedError(Exception):
    """A request is not let through: why, and the status that says so."""

    def __init__(self, why: str, status: int) -> None:
        super().__init__(why)
        self.status = status


class Guard:
    """Lets to `app` what the person with the token asks from the UI's own pages."""

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self._app = app
        self._token = token
        # Browsers keep cookies by host, for all its ports: two homes need two names.
        self._cookie = f"muster_ui_{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        asked = HTTPConnection(scope)
        answer: ASGIApp = self._app
        try:
            _check_origin(asked)
            if self._is_token(asked.query_params.get(PARAMETER, "")):
                answer = self._entered(asked)
            elif self._is_token(asked.cookies.get(self._cookie, "")):
                _check_kind(asked)
            else:
                raise RefusedError(
                    "Open the address that `muster ui` printed when it was started, token and all.",
                    401,
                )
        except RefusedError as refused:
            answer = PlainTextResponse(f"{refused}\n", refused.status)
        await answer(scope, receive, _closed_to_others(send))

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self._token.encode())

    def _entered(self, asked: HTTPConnection) -> Response:
        """The same page, with the token in a cookie instead of the address, which is recorded."""
        answer = RedirectResponse(str(asked.url.remove_query_params(PARAMETER)), status_code=303)
        answer.set_cookie(self._cookie, self._token, httponly=True, samesite="strict")
        answer.headers["Cache-Control"] = "no-store"
        return answer


def _check_origin(asked: HTTPConnection) -> None:
    """Raise RefusedError unless this machine is named, and no other page asks."""
    host, origins = asked.headers.getlist("host"), asked.headers.getlist("origin")
    if len(host) != 1 or not _HOST.fullmatch(host[0]):
        raise RefusedError("The UI answers to 127.0.0.1 and localhost only.", 400)
    # A browser says where a WebSocket or a POST comes from; a GET changes nothing.
    says_where = asked.scope["type"] == "websocket" or asked.scope["method"] == "POST"
    if origins != [f"http://{host[0]}"] and (origins or says_where):
        raise RefusedError("The UI takes requests from its own pages only.", 403)


def _check_kind(asked: HTTPConnection) -> None:
    """Raise RefusedError for a request by which Dagster would do more than it says."""
    method = asked.scope.get("method", "GET")
    if method not in ("GET", "HEAD", "POST"):
        raise RefusedError("The UI is asked by GET and POST only.", 405)
    # A form can send three other types, and Dagster would take the query from the address.
    if method == "POST" and asked.headers.get("content-type", "").split(";")[0].strip() != _JSON:
        raise RefusedError("The UI takes application/json only.", 415)
    # Dagster runs a mutation by GET too. A person gets the page with the editor, which posts.
    is_page = asked.scope["type"] == "websocket" or "text/html" in asked.headers.get("accept", "")
    if method == "GET" and not is_page and asked.scope["path"].strip().strip("/") == "graphql":
        raise RefusedError("GraphQL is asked by POST only.", 405)


def _closed_to_others(send: Send) -> Send:
    """Nothing that is answered may be shown in a frame of, or read by, another site's page."""

    async def closed(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            headers = MutableHeaders(scope=message)
            headers["X-Frame-Options"] = "DENY"
            headers["Cross-Origin-Resource-Policy"] = "same-origin"
        await send(message)

    return closed
