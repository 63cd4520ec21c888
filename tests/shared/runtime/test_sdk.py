"""The inside of the SDK: all that the modules override is marked, all that they use is listed, and missed at start where it is gone."""

from __future__ import annotations

import ast
from dis import get_instructions
from typing import Any

import pytest
from sekoia_automation.asset_connector import AssetConnector
from sekoia_automation.trigger import Trigger

from lab.modules import MODULES, ROOT
from shared.runtime.sdk import USED, require

SDK = "sekoia_automation."
CLASSES = [
    cls
    for module in MODULES.values()
    for cls in (module.module, module.connector, module.changes, module.validator)
    if cls is not None
]
LISTED = set().union(*USED.values())


def members(base: type) -> set[str]:
    """Of one class: what it defines, and what its constructor sets."""
    begin = vars(base).get("__init__")
    steps = get_instructions(begin) if begin else ()
    return {*vars(base), *(step.argval for step in steps if step.opname == "STORE_ATTR")}


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_each_member_of_the_sdk_that_a_class_overrides_is_marked_or_listed(cls: type) -> None:
    theirs = {name for base in cls.__mro__ if base.__module__.startswith(SDK) for name in vars(base)}
    unmarked = {
        f"{base.__name__}.{name}"
        for base in cls.__mro__
        if not base.__module__.startswith(SDK) and base is not object
        for name, value in vars(base).items()
        if name in theirs - LISTED and not name.startswith("__") and name != "_abc_impl"
        if not getattr(getattr(value, "fget", value), "__override__", False)
    }
    assert unmarked == set()


def test_each_private_member_of_the_sdk_that_the_code_uses_is_listed() -> None:
    inherited: dict[str, set[str]] = {}  # by the name of a class of ours
    for cls in CLASSES:
        theirs = {name for base in cls.__mro__ if base.__module__.startswith(SDK) for name in members(base)}
        for base in cls.__mro__:
            inherited.setdefault(base.__name__, set()).update(theirs)
    for room in ("runtime", "devices", "alerts"):
        for path in (ROOT / "shared" / room).glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef) and node.name in inherited:
                    used = {inner.attr for inner in ast.walk(node) if isinstance(inner, ast.Attribute)}
                    private = {name for name in used if name.startswith("_") and not name.startswith("__")}
                    assert private & inherited[node.name] - LISTED == set(), node.name


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_the_installed_release_has_all_that_is_listed(cls: type) -> None:
    require(cls)


@pytest.mark.parametrize(
    ("base", "gone"), [(Trigger, "_send_logs_to_api"), (Trigger, "heartbeat"), (AssetConnector, "reset_checkpoint")]
)
def test_a_method_that_is_gone_is_an_error_at_start_that_names_it(
    base: type, gone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The method that overrides it would never be called again, silently."""
    monkeypatch.delattr(base, gone)
    module: Any = MODULES["SentinelOne"].module()
    with pytest.raises(
        RuntimeError,
        match=rf"installed release of the SDK.*\.{gone}, .*cannot be relied on|{base.__name__}, {gone} cannot",
    ):
        module.register(MODULES["SentinelOne"].connector, "any")


def test_an_attribute_that_the_constructor_sets_no_more_is_an_error_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trigger, "__init__", lambda self: None)
    with pytest.raises(RuntimeError, match=r"_liveness_server.*_logs.*_stop_event"):
        require(MODULES["SentinelOne"].connector)


def test_a_class_of_the_sdk_that_is_not_known_is_an_error_at_start() -> None:
    class Other(Trigger):
        __module__ = "sekoia_automation.another"

    with pytest.raises(RuntimeError, match=r"sekoia_automation\.another\..*Other, the class itself"):
        require(Other)
