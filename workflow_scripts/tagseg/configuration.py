"""The check of the configuration against its schema, all that is wrong with it at once."""

import math
from collections.abc import Mapping

import jsonschema

_DRAFT = jsonschema.Draft202012Validator


def _is_finite(checker: jsonschema.TypeChecker, value: object) -> bool:
    """Say whether a value is a number; YAML's .nan would pass every bound of a schema."""
    return _DRAFT.TYPE_CHECKER.is_type(value, "number") and math.isfinite(value)


_Validator = jsonschema.validators.extend(
    _DRAFT, type_checker=_DRAFT.TYPE_CHECKER.redefine("number", _is_finite)
)


def config_problems(content: Mapping, schema: Mapping) -> list[str]:
    """Return a line for each unknown key and each bad value: its dotted key, and what is wrong with it."""
    return [
        f"{'.'.join(map(str, error.absolute_path)) or 'top level'}: {error.message}"
        for error in _Validator(schema).iter_errors(content)
    ]
