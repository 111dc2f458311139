"""Named classes that programs and files can ask for: initializers, metrics, optimizers. Source: MXNet ``mx.registry``.

Each base class has a registry of its own. Three functions are made for it: one that registers a subclass under the
lower-case form of its name, one that gives it further names, and one that makes an instance from a name, from the text
that an instance's ``dumps`` returned, or from a dict.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import Any

from symjit.base import shown

__all__ = ["get_alias_func", "get_create_func", "get_register_func", "get_registry"]

_classes: dict[type, dict[str, type]] = {}


def get_registry(base_class: type) -> dict[str, type]:
    """Return a copy of the names and classes registered for `base_class`."""
    return dict(_classes.setdefault(base_class, {}))


def get_register_func(base_class: type, nickname: str) -> Callable[..., type]:
    """Return the function ``register(klass, name=None)`` of a base class; it returns `klass`.

    Args:
        base_class: what the classes have to derive from.
        nickname: what messages call them, for example ``"metric"``.
    """
    registered = _classes.setdefault(base_class, {})

    def register(klass: type, name: str | None = None) -> type:
        if not (isinstance(klass, type) and issubclass(klass, base_class)):
            raise AssertionError(
                f"only a subclass of {base_class.__module__}.{base_class.__name__} can be registered as {nickname}, got"
                f" {shown(klass)}"
            )
        name = (klass.__name__ if name is None else name).lower()
        if name in registered:
            old = registered[name]
            warnings.warn(
                f"the {nickname} {name!r} is now {klass.__module__}.{klass.__name__}, and no longer"
                f" {old.__module__}.{old.__name__}",
                UserWarning,
                stacklevel=2,
            )
        registered[name] = klass
        return klass

    register.__doc__ = f"Register a class under its name in lower case, or under `name`, as {nickname}."
    return register


def get_alias_func(base_class: type, nickname: str) -> Callable[..., Callable[[type], type]]:
    """Return the decorator ``alias(*names)``, which registers a class under further names."""
    register = get_register_func(base_class, nickname)

    def alias(*aliases: str) -> Callable[[type], type]:
        def give(klass: type) -> type:
            for name in aliases:
                register(klass, name)
            return klass

        return give

    alias.__doc__ = f"Return a decorator that registers a class under these names, as {nickname}."
    return alias


def get_create_func(base_class: type, nickname: str) -> Callable[..., Any]:
    """Return the function ``create`` of a base class.

    ``create(name, *args, **kwargs)`` makes an instance of the class registered under a name. The name may be the
    keyword `nickname` instead. In its place may stand an instance, which is returned, a dict of keywords with the name
    under `nickname`, and the JSON text of such a dict or of a pair ``[name, keywords]``.

    The function raises:
        AssertionError: no class has that name; or arguments come with an instance or a text.
        ValueError: a text is not such JSON.
        TypeError: there is no name, or the class does not take the arguments.
    """
    registered = _classes.setdefault(base_class, {})

    def create(*args: Any, **kwargs: Any) -> Any:
        if args:
            name, *rest = args
        elif nickname in kwargs:
            name, rest = kwargs.pop(nickname), []
        else:
            raise TypeError(f"create: expected the name of the {nickname}, one of {', '.join(sorted(registered))}")
        if isinstance(name, base_class):
            if rest or kwargs:
                raise AssertionError(
                    f"create: this {nickname} is an instance already, of {type(name).__name__}; give the other"
                    " arguments to its constructor"
                )
            return name
        if isinstance(name, dict):
            return create(**name)
        if not isinstance(name, str):
            raise AssertionError(f"create: expected a {nickname} or the name of one, got {shown(name)}")
        if name.startswith(("[", "{")):
            if rest or kwargs:
                raise AssertionError(
                    f"create: the text {shown(name)} holds all arguments of the {nickname}; write others into it"
                )
            name, kwargs = _read(name, nickname)
        found = registered.get(name.lower())
        if found is None:
            raise AssertionError(
                f"there is no {nickname} {shown(name)}; there are {', '.join(sorted(registered))}. A class of your own"
                f" is made known by the decorator mx.{nickname}.register"
            )
        return found(*rest, **kwargs)

    create.__doc__ = (
        f"Return the {nickname} of this name, made with the other arguments; an instance is returned as it is.\n\n"
        f"The name may also be text that ``dumps`` of the {nickname} returned."
    )
    return create


def _read(text: str, nickname: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the keywords that a JSON text states."""
    try:
        value = json.loads(text)
        name, kwargs = (value.pop(nickname), value) if isinstance(value, dict) else value
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(
            f'{nickname}: expected JSON of the form ["name", {{"argument": value}}], got {shown(text)}: {error}'
        ) from None
    if not isinstance(name, str) or not isinstance(kwargs, dict):
        raise ValueError(f'{nickname}: expected JSON of the form ["name", {{"argument": value}}], got {shown(text)}')
    return name, kwargs
