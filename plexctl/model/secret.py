"""A secret that cannot be printed by accident."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Secret:
    """Bytes whose repr and str are hidden. Only `reveal()` returns them."""

    _value: bytes = field(repr=False)

    def reveal(self) -> bytes:
        return self._value

    def reveal_text(self) -> str:
        return self._value.decode()

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__
