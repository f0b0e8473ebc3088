"""Which class serves which service: the installed plug-ins by entry point, and our own."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points

from clients.errors import ConfigError, MissingExtra
from clients.reading import nearest
from services.service import Service

GROUP = "ragq.services"
BUILT_IN = {
    "llm": "services.llm.service:LLMService",
    "index": "services.index.service:IndexService",
}


def load_service(name: str, module: str = "") -> type[Service]:
    """The class of a service.

    Args:
        name: of the service in ragq.yml.
        module: what its ``module`` key says: the name of a plug-in, or ``package.module:Class``.

    Raises:
        ConfigError: no such plug-in, or not a Service.
        MissingExtra: the plug-in needs a package that is not installed.
    """
    wanted = module or name
    target = wanted if ":" in wanted else _target(wanted)
    module_name, _, attribute = target.partition(":")
    try:
        found = getattr(import_module(module_name), attribute)
    except ModuleNotFoundError as error:
        if error.name and not f"{module_name}.".startswith(f"{error.name}."):
            raise MissingExtra(error.name, name) from error
        raise ConfigError(
            f"service '{name}': there is no module '{module_name}'", help="install the package that has it"
        ) from None
    except AttributeError:
        raise ConfigError(f"service '{name}': module '{module_name}' has no '{attribute}'") from None
    if not (isinstance(found, type) and issubclass(found, Service)):
        raise ConfigError(f"service '{name}': {target} is not a subclass of services.service.Service")
    if not isinstance(getattr(found, "name", None), str):
        raise ConfigError(
            f"service '{name}': {target} has no name", help='give the class a line such as: name = "echo"'
        )
    return found


def _target(name: str) -> str:
    installed = {point.name: point.value for point in entry_points(group=GROUP)}
    known = {**installed, **BUILT_IN}
    if name not in known:
        raise ConfigError(f"no plug-in serves '{name}'", help=nearest(name, known))
    return known[name]
