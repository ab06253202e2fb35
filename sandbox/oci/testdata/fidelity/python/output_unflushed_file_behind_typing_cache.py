from typing import Optional


class Node:
    def __init__(self, next: Optional["Node"] = None):
        self.next = next

    def append(self, other: Optional["Node"]):
        self.next = other


def walk(n: Optional[Node]) -> Optional[Node]:
    return n


out = open(1, "w", closefd=False)
out.write("flushed although typing remembers Node\n")
