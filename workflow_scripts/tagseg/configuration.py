"""The check of the configuration against its schema, all that is wrong with it at once."""

import math
from collections.abc import Iterator, Mapping

import jsonschema

_DRAFT = jsonschema.Draft202012Validator


def _is_integer(_: jsonschema.TypeChecker, value: object) -> bool:
    """Say whether a value is a whole number and written so: 2.0, which JSON Schema takes, cannot count."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_finite(checker: jsonschema.TypeChecker, value: object) -> bool:
    """Say whether a value is a number; YAML's .nan would pass every bound of a schema."""
    return _is_integer(checker, value) or (isinstance(value, float) and math.isfinite(value))


def _ascending(
    validator: object, wanted: bool, values: object, _: Mapping
) -> Iterator[jsonschema.ValidationError]:
    """Check our own keyword `ascending`: no number of a list is below the one before it."""
    are_numbers = validator.is_type(values, "array") and all(validator.is_type(v, "number") for v in values)
    if wanted and are_numbers and values != sorted(values):
        yield jsonschema.ValidationError(f"{values!r} is not in ascending order")


_Validator = jsonschema.validators.extend(
    _DRAFT,
    validators={"ascending": _ascending},
    type_checker=_DRAFT.TYPE_CHECKER.redefine_many({"number": _is_finite, "integer": _is_integer}),
)


def config_problems(content: Mapping, schema: Mapping) -> list[str]:
    """Return a line for each unknown key and each bad value: its dotted key, and what is wrong with it."""
    return [
        f"{'.'.join(map(str, error.absolute_path)) or 'top level'}: {error.message}"
        for error in _Validator(schema).iter_errors(content)
    ]
