"""validate: records whose data does not fit a JSON Schema are refused.

jsonschema_rs is imported here alone, and only when a pipeline validates something. Its regular expressions run in
linear time and nothing is fetched: neither a schema nor a sender can make a check run away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

from hubqueue.errors import ConfigError, Invalid
from hubqueue.pipeline.record import Record, Refused
from hubqueue.pipeline.step import State

if TYPE_CHECKING:
    import jsonschema_rs

_MAX_CHARS: Final = 300  # of a reason
_ODD: Final = "it holds what JSON does not know (bytes, a time, a key that is no text), or is nested too deeply"


class Validate:
    """A compiled schema; without $schema it is draft 2020-12."""

    def __init__(self, schema: Any) -> None:
        """Errors: Invalid when it is no schema; ConfigError when the library is not there."""
        self._schema: Final = compiled(schema)

    def run(self, record: Record, state: State) -> tuple[Record, ...]:
        try:
            if self._schema.is_valid(record.data):
                return (record,)
            first = next(iter(self._schema.iter_errors(record.data)))
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise Refused(f"its data cannot be compared with a schema: {_ODD}") from error
        where = ".".join(str(part) for part in first.instance_path)
        raise Refused(f"{f'{where}: ' if where else ''}{first.message}"[:_MAX_CHARS])


def compiled(schema: Any) -> jsonschema_rs.Validator:
    """Errors: Invalid; ConfigError when the library is not there."""
    try:
        import jsonschema_rs
    except ImportError as error:
        raise ConfigError("validation needs jsonschema-rs", hint="pip install 'hubqueue[pipelines]'") from error
    if not isinstance(schema, dict | bool):
        raise Invalid("a schema must hold keys and values", hint="as in {type: object, required: [device]}")
    try:
        return jsonschema_rs.validator_for(
            schema,
            validate_formats=True,
            retriever=_nothing_is_fetched,
            pattern_options=jsonschema_rs.RegexOptions(),
        )
    except (ValueError, TypeError, jsonschema_rs.ReferencingError) as error:
        where = ".".join(str(part) for part in getattr(error, "instance_path", ()))
        text = getattr(error, "message", str(error))
        raise Invalid(f"{f'{where}: ' if where else ''}{text}"[:_MAX_CHARS]) from error


def _nothing_is_fetched(uri: str) -> NoReturn:
    raise ValueError(f"{uri} is not in this schema, and nothing is fetched")
