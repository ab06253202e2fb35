from __future__ import annotations

import typing
from collections import namedtuple
from dataclasses import dataclass, fields


@dataclass
class Tree:
    left: Tree | None
    items: list[int]


class Shape(typing.Protocol):
    def area(self) -> float: ...


class Pair(typing.NamedTuple):
    a: int
    b: "Pair" = None


print(typing.get_type_hints(Tree), [f.type for f in fields(Tree)])
print(typing.get_type_hints(Pair), Pair.__module__, namedtuple("N", "x").__module__)
print(typing.get_type_hints(Shape.area), typing.TypeVar("T").__module__, typing.NewType("Id", int).__module__)
typing.get_type_hints(lambda x: x)
print(Tree.__init__.__qualname__, repr(Tree(None, [])))
