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
        answer = self._answer(HTTPConnection(scope))
        if answer is not None:
            await answer(scope, receive, _closed_to_others(send))
        else:
            await self._app(scope, receive, _closed_to_others(send))

    def _answer(self, asked: HTTPConnection) -> Response | None:
        """What is answered in place of Dagster; None lets Dagster answer."""
        host, origins = asked.headers.getlist("host"), asked.headers.getlist("origin")
        method = asked.scope.get("method", "")
        if len(host) != 1 or not _HOST.fullmatch(host[0]):
            return _no(400, "The UI answers to 127.0.0.1 and localhost only.")
        # A browser says where a WebSocket or a POST comes from; a GET changes nothing.
        says_where = asked.scope["type"] == "websocket" or method == "POST"
        if origins != [f"http://{host[0]}"] and (origins or says_where):
            return _no(403, "The UI takes requests from its own pages only.")
        if method == "GET" and self._is_token(asked.query_params.get(PARAMETER, "")):
            return self._entered(asked)
        if not self._is_token(asked.cookies.get(self._cookie, "")):
            return _no(
                401, "Open the address that `muster ui` printed when it was started, token and all."
            )
        if asked.scope["type"] == "websocket":
            return None
        return _unsafe(asked, method)

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self._token.encode())

    def _entered(self, asked: HTTPConnection) -> Response:
        """The same page, with the token in a cookie instead of the address, which is recorded."""
        answer = RedirectResponse(str(asked.url.remove_query_params(PARAMETER)), status_code=303)
        answer.set_cookie(self._cookie, self._token, httponly=True, samesite="strict")
        answer.headers["Cache-Control"] = "no-store"
        return answer


def _unsafe(asked: HTTPConnection, method: str) -> Response | None:
    if method not in ("GET", "HEAD", "POST"):
        return _no(405, "The UI knows GET and POST.")
    # A form can send three other types, and Dagster would take the query from the address.
    if method == "POST" and asked.headers.get("content-type", "").split(";")[0].strip() != _JSON:
        return _no(415, f"Post {_JSON}.")
    # Dagster runs a mutation by GET too. A person gets the page with the editor, which posts.
    is_page = "text/html" in asked.headers.get("accept", "")
    if method == "GET" and not is_page and asked.url.path.strip().strip("/") == "graphql":
        return _no(405, "Post GraphQL.")
    return None


def _no(status: int, why: str) -> Response:
    return PlainTextResponse(f"{why}\n", status_code=status)


def _closed_to_others(send: Send) -> Send:
    """Nothing that is answered may be shown in a frame of, or read by, another site's page."""

    async def closed(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            headers = MutableHeaders(scope=message)
            headers["X-Frame-Options"] = "DENY"
            headers["Cross-Origin-Resource-Policy"] = "same-origin"
        await send(message)

    return closed
