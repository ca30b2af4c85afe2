"""A YAML file of settings: read whole and checked whole, every mistake told at once with its line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from flows.errors import UsageError

LARGEST_FILE = 1_000_000  # bytes

Model = TypeVar("Model", bound=BaseModel)
Place = tuple[int | str, ...]
# Where in the file, and what is wrong there.
Mistake = tuple[Place, str]


@dataclass(frozen=True, slots=True)
class YamlFile:
    """A file as YAML: its data, and where in it each part stands."""

    path: Path
    data: Any
    _node: yaml.Node | None
    # what it is to people: "recipients file"
    _name: str

    def refusal(self, mistakes: Iterable[Mistake], ending: str) -> UsageError:
        """The error that names each mistake with its line; `ending` says what follows from it."""
        lines = sorted(
            (_line_of(self._node, place), ".".join(str(part) for part in place) or "the file", problem)
            for place, problem in mistakes
        )
        told = "\n".join(f"  line {line}: {place}: {problem}" for line, place, problem in lines)
        return UsageError(f"The {self._name} {self.path} is wrong.\n{told}\nCorrect it; {ending}.")


def read_yaml(path: Path, *, name: str, setting: str) -> YamlFile:
    """Read a file that a setting names. Raises UsageError when it is not there or no plain YAML."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise UsageError(
                f"{path} is larger than {LARGEST_FILE:,} bytes. Divide it, or look what is in it."
            )
        text = content.decode("utf-8")
    except OSError as error:
        raise UsageError(f"The {name} {path} cannot be read: {error.strerror}. Correct {setting}.") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: byte {error.start} is not UTF-8. Save the file as UTF-8.") from None
    try:
        node = yaml.compose(text, Loader=_StrictLoader)
        data = yaml.load(text, Loader=_StrictLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be read"
        raise UsageError(f"{path}{line}: not YAML as expected: {problem}.") from None
    except RecursionError:
        raise UsageError(f"{path}: nested too deeply.") from None
    return YamlFile(path, data, node, name)


def mistakes_of(error: ValidationError, problems: Mapping[str, str]) -> list[Mistake]:
    """What pydantic found; `problems` says it better, by pydantic's type of error."""
    return [
        (detail["loc"], problems.get(detail["type"]) or detail["msg"].removeprefix("Value error, "))
        for detail in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def load(
    path: Path,
    model: type[Model],
    *,
    name: str,
    setting: str,
    problems: Mapping[str, str],
    contradictions: Callable[[Model], Iterable[Mistake]],
    ending: str,
    place_of: Callable[[Place], Place] = lambda place: place,
) -> Model:
    """Read a file that a setting names as a model. Raises UsageError that names each mistake with its line.

    `problems`: what pydantic's own words do not say, by its type of error; `contradictions`: what no field
    shows by itself; `place_of`: where in the file pydantic's place is; `ending`: what follows from mistakes.
    """
    file = read_yaml(path, name=name, setting=setting)
    try:
        found = model.model_validate(file.data)
    except ValidationError as error:
        wrong = [(place_of(place), problem) for place, problem in mistakes_of(error, problems)]
    else:
        wrong = list(contradictions(found))
        if not wrong:
            return found
    raise file.refusal(wrong, ending)


class _StrictLoader(yaml.SafeLoader):
    """Lists, mappings, texts and null: no aliases, which multiply, no tags, and no key twice."""

    # a text stays one, whether it looks like a date, a number or a yes
    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in resolvers if tag == "tag:yaml.org,2002:null"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        mark: Any = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not taken", mark)
        if event.tag is not None:
            raise yaml.composer.ComposerError(None, None, "tags (!name) are not taken", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "a list or mapping is no name of a setting", key.start_mark
                )
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{str(key.value)[:40]!r} is here twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _line_of(node: yaml.Node | None, location: tuple[int | str, ...]) -> int:
    """The line, from 1, of the deepest part of a location that is there."""
    line = node.start_mark.line + 1 if node else 1
    for part in location:
        found = None
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == part), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            found = (node.value[part], node.value[part])
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line
