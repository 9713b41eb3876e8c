"""The API's description: what OpenAPI says of `predict`, and a page of documentation that loads nothing from elsewhere.

(FastAPI's own `/docs` fetches its scripts from another host.)
"""

from __future__ import annotations

import json
from html import escape
from typing import Any

from luke_tasks.pages.shell import section
from luke_tasks.serve.inputs import Form
from luke_tasks.serve.page import plain_page

_ERROR = {"type": "object", "required": ["error"],
          "properties": {"error": {"type": "string", "description": "one line that says what is wrong"}}}  # fmt: skip
_REFUSALS = {
    400: "the body is no JSON",
    408: "the request did not arrive in time",
    413: "the request is too large, or has too many inputs",
    422: "the input is not what the model reads",
    500: "the model failed on this input",
    503: "the queue is full; Retry-After says when to come again",
    504: "no answer within the time limit",
}


def describe_predict(form: Form) -> dict[str, Any]:
    """Arguments of a route: the body's schema, an example, and the errors."""
    schema = form.model.model_json_schema()
    one = {"anyOf": [schema, {"type": "string", "description": 'as {"text": ...}'}]}
    body = {"schema": {"anyOf": [one, {"type": "array", "items": one}]}, "example": form.example}
    answer = {"type": "object", "description": "as `predict` prints it; `warnings`: what was cut off or left out"}
    return {
        "openapi_extra": {"requestBody": {"required": True, "content": {"application/json": body}}},
        "responses": {
            200: {"description": "a prediction, or a list of them for a list; in a list, an input that is refused has "
                  'its {"error": ...}', "content": {"application/json": {"schema": {"anyOf": [
                      answer, {"type": "array", "items": {"anyOf": [answer, _ERROR]}}]}}}},
            **{status: {"description": text, "content": {"application/json": {"schema": _ERROR}}}
               for status, text in _REFUSALS.items()},
        },
    }  # fmt: skip


def docs_page(description: dict[str, Any], address: str) -> str:
    """The OpenAPI description as a page. `address`: of the server, as the client knows it."""
    info = description["info"]
    parts = [f"<p>{escape(info['description'])} Version {escape(info['version'])}. "
             'For programs: <a href="openapi.json">openapi.json</a>. <a href="./">To the page</a></p>']  # fmt: skip
    for path, methods in description["paths"].items():
        parts += [_operation(method, path, operation, address) for method, operation in methods.items()]
    return plain_page("API of this server", "\n".join(parts))


def _operation(method: str, path: str, operation: dict[str, Any], address: str) -> str:
    content = [
        f"<p>{escape(paragraph)}</p>" for paragraph in operation.get("description", "").split("\n\n") if paragraph
    ]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body is not None:
        example = json.dumps(body["example"], ensure_ascii=False)
        quoted = example.replace("'", "'\\''")
        command = f"curl -H 'Content-Type: application/json' -d '{quoted}' {address.rstrip('/')}{path}"
        content += [_block("An example", command), _details("Schema of the body", body["schema"])]
    rows = [f"<li><b>{escape(str(status))}</b> {escape(' '.join(answer['description'].split()))}</li>"
            for status, answer in operation.get("responses", {}).items()]  # fmt: skip
    return section(f"{method.upper()} {path}", "\n".join(content) + f"<ul>{''.join(rows)}</ul>")


def _block(title: str, text: str) -> str:
    return f"<h3>{escape(title)}</h3>\n<pre>{escape(text)}</pre>"


def _details(title: str, value: Any) -> str:
    shown = json.dumps(value, ensure_ascii=False, indent=2)
    return f"<details><summary>{escape(title)}</summary><pre>{escape(shown)}</pre></details>"
