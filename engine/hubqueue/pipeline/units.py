"""Units: what to multiply by and add, worked out by pint when a pipeline is loaded and never again.

pint is imported here alone, and only when a pipeline converts something.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from tokenize import TokenError
from typing import TYPE_CHECKING, Final

from hubqueue.errors import ConfigError, Invalid

if TYPE_CHECKING:
    import pint

_EXACT: Final = 2**53  # ints up to here are exact as doubles
_TAKEN_FOR_DEGREES: Final = frozenset({"C", "F"})  # coulomb and farad
_NUMBER_TO_POWER: Final = re.compile(r"\d\s*(\*\*|\^)")  # in no unit, and 9**9**9**9 would keep a core busy for hours


@dataclass(frozen=True, slots=True)
class Conversion:
    """y = (x * times + plus) / over. With whole numbers where they are exact: 212 degF is 100.0 degC, not nearly."""

    times: float
    plus: float
    over: float

    def __call__(self, value: float) -> float:
        return (value * self.times + self.plus) / self.over


def conversion(source: str, target: str) -> Conversion:
    """From a unit to another. Errors: Invalid for what is no unit, or not of the same kind; ConfigError."""
    units = _registry()
    import pint

    try:
        zero = units.Quantity(Fraction(0), _unit(units, source)).to(_unit(units, target)).magnitude
        one, many = (
            units.Quantity(Fraction(n), _unit(units, source)).to(_unit(units, target)).magnitude for n in (1, 1000)
        )
    except pint.DimensionalityError as error:
        hint = " and ".join(f"{unit} measures {_measures(_unit(units, unit))}" for unit in (source, target))
        if _TAKEN_FOR_DEGREES.intersection((source, target)):
            hint += "; temperatures are degC, degF and K"
        raise Invalid(f"{source} cannot become {target}", hint=hint) from error
    except (pint.PintError, ArithmeticError, TypeError, ValueError, AttributeError) as error:
        raise Invalid(f"{source} cannot become {target}: {error}") from error
    times, plus = Fraction(one) - Fraction(zero), Fraction(zero)
    if not math.isclose(Fraction(many), times * 1000 + plus, rel_tol=1e-9, abs_tol=1e-12):
        raise Invalid(f"{source} to {target} is not a straight line", hint="write it in a map step: compute")
    over = math.lcm(times.denominator, plus.denominator)
    if max(abs(times.numerator), abs(plus.numerator), 1) * over > _EXACT:
        return Conversion(float(times), float(plus), 1)
    return Conversion(int(times * over), int(plus * over), over)


def _unit(units: pint.UnitRegistry[Fraction], text: str) -> pint.Unit:
    import pint

    hint = "as in degC, kPa, km/h, L/min or kWh"
    if not text.strip() or _NUMBER_TO_POWER.search(text):
        raise Invalid(f"{text!r} is no unit", hint=hint)
    try:
        found: pint.Unit = units.parse_units(text)
    except pint.UndefinedUnitError as error:
        raise Invalid(f"{text!r} is no unit that is known", hint=hint) from error
    except (
        pint.PintError,
        ArithmeticError,
        AssertionError,
        AttributeError,
        TypeError,
        ValueError,
        TokenError,
    ) as error:
        raise Invalid(f"{text!r} is no unit", hint=hint) from error
    return found


def _measures(unit: pint.Unit) -> str:
    powers = unit.dimensionality.items()
    return " ".join(f"{name}^{power}" if power != 1 else name for name, power in powers) or "a plain number"


@lru_cache(maxsize=1)
def _registry() -> pint.UnitRegistry[Fraction]:
    try:
        import pint
    except ImportError as error:
        raise ConfigError("conversion of units needs pint", hint="pip install 'hubqueue[pipelines]'") from error
    return pint.UnitRegistry(non_int_type=Fraction, autoconvert_offset_to_baseunit=True, cache_folder=None)
