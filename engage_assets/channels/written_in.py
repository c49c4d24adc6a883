"""Templates of many messages: what is the same in all of them is written in, so that little is left to do for each."""

from collections.abc import Mapping
from typing import Any, Final

from jinja2 import Environment, Template, nodes
from jinja2.visitor import NodeTransformer
from markupsafe import escape

_KEPT: Final = (nodes.Assign, nodes.AssignBlock, nodes.For, nodes.Macro, nodes.CallBlock, nodes.Block, nodes.Include)
"""What a macro may hold that means something else in another place."""


def written_in(template: Template, words: Mapping[str, Any], macros: str) -> Template:
    """The template with the texts among `words` in the place of their names, and macros in that of their calls.

    `macros` names the template that declares them. A call stays where its arguments have other names than the
    macro's, or the macro more than texts and conditions. The result says what `template` says of the same values,
    `words` among them.
    """
    environment, name = template.environment, str(template.name)
    tree = _parsed(environment, name)
    declared = {macro.name: macro for macro in _parsed(environment, macros).find_all(nodes.Macro)}
    tree = _Unfolding(declared).visit(tree)
    set_here = {found.name for found in tree.find_all(nodes.Name) if found.ctx != "load"}
    texts = {word: text for word, text in words.items() if isinstance(text, str) and word not in set_here}
    for output in tree.find_all(nodes.Output):
        output.nodes = [
            nodes.TemplateData(str(escape(texts[part.name]) if environment.autoescape else texts[part.name]))
            if isinstance(part, nodes.Name) and part.name in texts
            else part
            for part in output.nodes
        ]
    code = environment.compile(tree, name, template.filename)
    return environment.template_class.from_code(environment, code, environment.globals)


def _parsed(environment: Environment, name: str) -> nodes.Template:
    assert environment.loader is not None
    source, filename, _ = environment.loader.get_source(environment, name)
    return environment.parse(source, name, filename)


class _Unfolding(NodeTransformer):
    """Puts what a macro holds in the place of its calls, where it says the same there."""

    def __init__(self, macros: Mapping[str, nodes.Macro]) -> None:
        self._macros = {name: macro for name, macro in macros.items() if not any(macro.find_all(_KEPT))}

    def visit_Output(self, node: nodes.Output) -> list[nodes.Node]:  # noqa: N802 – Jinja's name
        """Split at the calls that are unfolded."""
        found: list[nodes.Node] = []
        held: list[nodes.Expr] = []
        for part in node.nodes:
            macro = self._called(part)
            if macro is None:
                held.append(part)
                continue
            found += [nodes.Output(held, lineno=node.lineno), *macro.body] if held else macro.body
            held = []
        return [*found, nodes.Output(held, lineno=node.lineno)] if held else found

    def _called(self, part: nodes.Expr) -> nodes.Macro | None:
        """The macro that a part calls with names that are those of its parameters."""
        if not isinstance(part, nodes.Call) or not isinstance(part.node, nodes.Name):
            return None
        macro = self._macros.get(part.node.name)
        if macro is None or part.kwargs or part.dyn_args or part.dyn_kwargs or macro.defaults:
            return None
        given = [one.name if isinstance(one, nodes.Name) else None for one in part.args]
        return macro if given == [one.name for one in macro.args] else None
