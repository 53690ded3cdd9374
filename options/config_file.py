"""Options in a file: YAML, which JSON is too, with the names of the flags, on top of the files that it is based on."""

from pathlib import Path
from typing import NamedTuple

import yaml

YAML_TAG = "tag:yaml.org,2002:"
BOOLEAN, NULL = f"{YAML_TAG}bool", f"{YAML_TAG}null"
# What YAML may take a scalar for; all but booleans and null stay the text that was written.
PLAIN_TAGS = {BOOLEAN, NULL, *(f"{YAML_TAG}{name}" for name in ("str", "int", "float", "timestamp"))}
# The key that names the files to start from.
BASED_ON = "based_on"

Value = str | bool | list | None


class ConfigError(ValueError):
    """Something in a config file is wrong: the message names the file, what was wanted and what was got."""

    def __init__(self, path: Path, message: str):
        super().__init__(f"config {path}: {message}")


class Setting(NamedTuple):
    """What is said of one option, and the file that says it.

    Numbers are the text that was written, so that an option reads what its flag would read: YAML's own reading makes
    text of 1e-5, 8 of 010 and 750 of 12:30.
    """

    value: Value
    path: Path


def read_config(path: Path, chain: tuple[Path, ...] = ()) -> dict[str, Setting]:
    """What a file says of each name, or else the last of the files it is based on that says something.

    chain: the files that are based on this one, outermost first
    Raises ConfigError where a file cannot be read, is no mapping, says a thing twice or is based on itself.
    """
    own = read_mapping(path)
    if path.resolve() in [other.resolve() for other in chain]:
        circle = " -> ".join(str(other) for other in (*chain, path))
        raise ConfigError(chain[0], f"{BASED_ON}: wanted an end, got the circle {circle}")
    bases = own.pop(BASED_ON, [])
    bases = bases if isinstance(bases, list) else [bases]
    if not all(isinstance(base, str) for base in bases):
        raise ConfigError(path, f"{BASED_ON}: wanted a path or a list of paths, got {bases}")
    settings: dict[str, Setting] = {}
    for base in bases:
        if not (path.parent / base).is_file():
            raise ConfigError(path, f"{BASED_ON}: wanted a file, got {path.parent / base}, which is none")
        settings |= read_config(path.parent / base, (*chain, path))
    return settings | {name: Setting(value, path) for name, value in own.items()}


def read_mapping(path: Path) -> dict[str, Value]:
    """The keys and values of one file; none where it is empty. Raises ConfigError."""
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise ConfigError(path, f"wanted UTF-8, got another byte at {error.start}") from None
    except (OSError, ValueError) as error:
        raise ConfigError(path, getattr(error, "strerror", None) or str(error)) from None
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = f"{error.problem} in line {mark.line + 1}" if mark else " ".join(str(error).split())
        raise ConfigError(path, f"wanted YAML, got something else: {problem}") from None
    if node is None or node.tag == NULL:
        return {}
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(path, f"wanted lines 'name: value', got {told_tag(node)}")
    content = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise ConfigError(path, f"line {line}: wanted a name, got {told_tag(key)}")
        # PyYAML alone would take the last one silently.
        if key.value in content:
            raise ConfigError(path, f"{key.value}: wanted once, got another in line {line}")
        content[key.value] = plain_value(path, key.value, value)
    return content


def plain_value(path: Path, name: str, node: yaml.Node) -> Value:
    """A scalar, or a list of scalars. Raises ConfigError where it is neither."""
    nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
    for item in nodes:
        if not isinstance(item, yaml.ScalarNode) or item.tag not in PLAIN_TAGS:
            line = item.start_mark.line + 1
            raise ConfigError(path, f"{name}: wanted a plain value, got {told_tag(item)} in line {line}")
    values = [scalar(item) for item in nodes]
    return values if isinstance(node, yaml.SequenceNode) else values[0]


def scalar(node: yaml.ScalarNode) -> str | bool | None:
    """True, False, None, or the text that was written."""
    if node.tag == NULL:
        return None
    if node.tag == BOOLEAN:
        return yaml.SafeLoader.bool_values.get(node.value.lower(), node.value)
    # JSON writes a character beyond 16 bits as two halves, which YAML does not put together.
    return node.value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def told_tag(node: yaml.Node) -> str:
    """What YAML takes a node for, in a word."""
    return node.tag.replace(YAML_TAG, "!!")
