"""The OpenAPI description as one plain page. It loads nothing from elsewhere, so it works offline."""

from __future__ import annotations

from html import escape
from typing import Any

_STYLE = """
body { font: 15px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; }
h2 code { background: #eee; padding: 2px 6px; border-radius: 4px; }
table { border-collapse: collapse; } td, th { border: 1px solid #ccc; padding: 3px 8px; text-align: left; }
"""


def docs_page(description: dict[str, Any]) -> str:
    """HTML of an OpenAPI description: each call, its parameters and its body."""
    info = description["info"]
    parts = [
        f"<!doctype html><meta charset='utf-8'><title>{escape(info['title'])}</title><style>{_STYLE}</style>",
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info['description'])}</p>",
        "<p>The same for programs: <a href='/v1/openapi.json'>/v1/openapi.json</a></p>",
    ]
    for path, calls in description["paths"].items():
        for method, call in calls.items():
            parts.append(f"<h2><code>{method.upper()} {escape(path)}</code></h2>")
            parts.append(f"<p>{escape(call.get('description') or call.get('summary', ''))}</p>")
            rows = [
                (parameter["name"], parameter["in"], parameter.get("description", ""))
                for parameter in call.get("parameters", [])
            ]
            rows += _body_rows(call, description["components"]["schemas"])
            if rows:
                parts.append("<table><tr><th>name</th><th>in</th><th>what</th></tr>")
                parts += [
                    "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
                ]
                parts.append("</table>")
    return "\n".join(parts)


def _body_rows(call: dict[str, Any], schemas: dict[str, Any]) -> list[tuple[str, str, str]]:
    content = call.get("requestBody", {}).get("content", {}).get("application/json", {})
    rows: list[tuple[str, str, str]] = []
    for option in content.get("schema", {}).get("oneOf", [content.get("schema", {})]):
        schema = _resolve(option, schemas)
        for name, field in schema.get("properties", {}).items():
            rows.append((name, "body", field.get("description") or _type_name(field)))
            for inner, inner_field in _resolve(field, schemas).get("properties", {}).items():
                what = inner_field.get("description") or _type_name(inner_field)
                rows.append((f"{name}.{inner}", "body", what))
    return rows


def _resolve(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    resolved: dict[str, Any] = schemas.get(name, schema)
    return resolved


def _type_name(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    if "anyOf" in schema:
        return " or ".join(_type_name(option) for option in schema["anyOf"])
    return str(schema.get("type") or schema.get("$ref", "").rpartition("/")[2])
