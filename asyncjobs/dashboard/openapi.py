"""The OpenAPI document, made of the table of operations."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic.json_schema import models_json_schema

from asyncjobs.dashboard.models import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import BaseModel

    from asyncjobs.dashboard.operation import Operation

REFERENCE = "#/components/schemas/{model}"
HEADER = {
    "name": "X-Asyncjobs",
    "in": "header",
    "required": True,
    "description": "Any text. A page of another site cannot send it.",
    "schema": {"type": "string", "enum": ["api"]},
}
PROBLEMS = {
    "400": "What was asked for cannot be.",
    "401": "Nobody was named who may see this.",
    "403": "Whoever asks may not do this.",
    "404": "There is no such thing.",
    "422": "The parameters or the body are not as described.",
    "503": "The storage did not answer.",
}
FROM_PATH = {
    "id": {"type": "integer", "minimum": 1, "maximum": 2**63 - 1},
    "name": {"type": "string", "minLength": 1, "maxLength": 200},
}


def document(title: str, operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the document of an API of *operations*."""
    models = {
        model: None
        for operation in operations
        for model in (operation.query, operation.body, operation.answer)
        if model is not None
    }
    inputs = [(model, "validation") for model in (*models, Problem)]
    _, schemas = models_json_schema(inputs, ref_template=REFERENCE)  # type: ignore[arg-type]
    paths: dict[str, Any] = {}
    for operation in operations:
        path = re.sub(r"{(\w+)(?::\w+)?}", r"{\1}", operation.path)
        paths.setdefault(path, {})[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1"},
        "servers": [{"url": "."}],
        "paths": paths,
        "components": {"schemas": schemas["$defs"]},
    }


def _operation(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": operation.handler.__name__,
        "summary": operation.summary,
        "parameters": [*_from_path(operation.path), *_from_query(operation.query, schemas)],
        "responses": {
            "200": _answer("It is so, or done.", operation.answer),
            **{status: _answer(text, Problem) for status, text in PROBLEMS.items()},
        },
    }
    if operation.body is not None:
        found["requestBody"] = {"required": True, "content": _content(operation.body)}
    if operation.method != "GET":
        found["parameters"].append(HEADER)
    return found


def _from_path(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": FROM_PATH[name]}
        for name in re.findall(r"{(\w+)", path)
    ]


def _from_query(query: type[BaseModel] | None, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    if query is None:
        return []
    properties = schemas["$defs"][query.__name__].get("properties", {})
    return [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in properties.items()
    ]


def _answer(text: str, model: type[BaseModel]) -> dict[str, Any]:
    return {"description": text, "content": _content(model)}


def _content(model: type[BaseModel]) -> dict[str, Any]:
    reference = REFERENCE.format(model=model.__name__)
    return {"application/json": {"schema": {"$ref": reference}}}
