"""The page on which a person lets a client in, or not.

Whoever opens the port can see it, so it asks for the pass phrase, and says where the answer goes:
a client may call itself as it likes. It runs no script, and stands in no frame.
"""

import html
import time
from urllib.parse import urlsplit

from mcp.server.transport_security import RequestBodyLimitMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route, request_response

from mcp_server.access.grants import Asked
from mcp_server.access.local import CONSENT_PATH, FORM_BYTES_MAX, LocalIssuer
from mcp_server.rendering import clip

NAME_CHARACTERS = 80
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
    "frame-ancestors 'none'",
    # Of a page with "no-referrer" browsers hide the origin, and the form would be refused.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Borealis</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:4rem auto;padding:0 1rem}}
code{{overflow-wrap:anywhere}}input,button{{font:inherit;padding:.4rem .8rem}}</style>
{body}
</html>
"""
QUESTION = """<h1>Let this client in?</h1>
<p>A program that calls itself <strong><bdi>{name}</bdi></strong> wants to use the Borealis server
<code>{resource}</code>, with everything that this server may do.</p>
<p>The answer goes to <strong><code>{where}</code></strong>. If you did not just start this, or that
is not your program, say no.</p>
{note}
<form method="post" action="{action}">
<input type="hidden" name="request" value="{request}">
<p><label>Pass phrase, the content of the token file:<br>
<input type="password" name="passphrase" autocomplete="off" autofocus></label></p>
<p><button name="answer" value="yes">Let it in</button>
<button name="answer" value="no" formnovalidate>No</button></p>
</form>"""
GONE = "<h1>Nothing waits here</h1><p>The request is too old, or was answered. Start it again.</p>"
WRONG = "<p><strong>That is not the pass phrase.</strong></p>"


def consent_route(issuer: LocalIssuer) -> Route:
    """The page, for requests that wait in an issuer."""

    async def handle(request: Request) -> Response:
        if request.method == "GET":
            return _asked(issuer, request.query_params.get("request", ""))
        async with request.form(max_files=0, max_fields=8) as form:
            given = {name: value for name, value in form.items() if isinstance(value, str)}
        return _decided(issuer, given)

    limited = RequestBodyLimitMiddleware(request_response(handle), FORM_BYTES_MAX)
    return Route(CONSENT_PATH, endpoint=limited, methods=["GET", "POST"])


def _decided(issuer: LocalIssuer, given: dict[str, str]) -> Response:
    name = given.get("request", "")
    asked = issuer.grants.waiting(name, time.time())
    if asked is None:
        return _page(GONE, 400)
    if given.get("answer") != "yes":
        issuer.grants.refuse(name)
        return _back(issuer.answered(asked, error="access_denied"))
    if not issuer.knows(given.get("passphrase", "")):
        again = issuer.grants.guessed_wrong(name)
        return _asked(issuer, name, WRONG) if again else _page(GONE, 400)
    return _back(issuer.answered(asked, code=issuer.grants.consent(name, time.time())))


def _asked(issuer: LocalIssuer, name: str, note: str = "") -> Response:
    asked = issuer.grants.waiting(name, time.time())
    if asked is None:
        return _page(GONE, 400)
    client = issuer.clients.get(asked.client_id)
    called = (client.client_name if client is not None else None) or "without a name"
    shown = {
        "name": clip(called, NAME_CHARACTERS),
        "resource": issuer.resource,
        "where": _place(asked),
        "action": CONSENT_PATH,
        "request": name,
    }
    escaped = {key: html.escape(value) for key, value in shown.items()}
    return _page(QUESTION.format(note=note, **escaped), 403 if note else 200)


def _place(asked: Asked) -> str:
    """Where an answer goes, without what a person need not compare."""
    parts = urlsplit(asked.redirect_uri)
    return f"{parts.scheme}://{parts.netloc}"


def _page(body: str, status: int) -> Response:
    return HTMLResponse(PAGE.format(body=body), status, HEADERS)


def _back(url: str) -> Response:
    return RedirectResponse(url, 303, HEADERS)
