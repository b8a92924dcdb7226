"""REST: a table of routes, and what makes handlers and the OpenAPI document of it. `serve.rest` mounts it."""
