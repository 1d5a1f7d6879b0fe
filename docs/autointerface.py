"""``.. autointerface:: package.module.IName``: a zope interface, with its attributes and methods.

autodoc knows classes, and an interface is none.
"""

from __future__ import annotations

import importlib
import inspect
from typing import Any, ClassVar

from docutils.nodes import Node
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from zope.interface.interface import InterfaceClass, Method


def indented(text: str) -> list[str]:
    return [f"   {line}" if line else "" for line in text.splitlines()]


def described(interface: InterfaceClass, module: str) -> list[str]:
    """The interface as reStructuredText."""
    lines = [f".. py:currentmodule:: {module}", "", f".. py:class:: {interface.__name__}", ""]
    lines += [*indented(inspect.cleandoc(interface.__doc__)), ""]
    for member, what in interface.namesAndDescriptions():
        if isinstance(what, Method):
            head = f".. py:method:: {member}{what.getSignatureString()}"
        else:
            head = f".. py:attribute:: {member}"
        lines += indented("\n".join([head, "", *indented(inspect.cleandoc(what.__doc__)), ""]))
    return lines


class AutoInterface(SphinxDirective):
    """The directive."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[Node]:
        name, _, attribute = self.arguments[0].rpartition(".")
        module = importlib.import_module(name)
        self.env.note_dependency(module.__file__)
        return self.parse_text_to_nodes("\n".join(described(getattr(module, attribute), name)))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("autointerface", AutoInterface)
    return {"parallel_read_safe": True}
