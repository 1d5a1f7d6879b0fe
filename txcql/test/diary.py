"""What a listener of a cluster was told, in words."""

from __future__ import annotations

from typing import Any

__all__ = ["Diary"]


class Diary:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def node_added(self, node: Any) -> None:
        self.told.append(f"added {node.name}")

    def node_removed(self, node: Any) -> None:
        self.told.append(f"removed {node.name}")

    def node_up(self, node: Any) -> None:
        self.told.append(f"up {node.name}")

    def node_down(self, node: Any) -> None:
        self.told.append(f"down {node.name}")

    def node_moved(self, node: Any, name: str) -> None:
        self.told.append(f"moved {name} to {node.name}")

    def schema_added(self, item: Any) -> None:
        self.told.append(f"added {item}")

    def schema_changed(self, old: Any, new: Any) -> None:
        self.told.append(f"changed {new}")

    def schema_removed(self, item: Any) -> None:
        self.told.append(f"removed {item}")
