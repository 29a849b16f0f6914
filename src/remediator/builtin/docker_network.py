"""The network of prepare containers and image builds: a bridge of our own where the engine makes one, else the engine's default one."""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Mapping
from typing import Any

from remediator.builtin.docker_engine import client_errors

DEFAULT = "bridge"
_OPTIONS = {"com.docker.network.bridge.enable_icc": "false"}

log = logging.getLogger("remediator.sandbox")


class Network:
    """A bridge on which containers reach out and never each other."""

    def __init__(self, api: Any, labels: Mapping[str, str]) -> None:
        self._api = api
        self._id = ""
        self.name = f"remediator-{secrets.token_hex(6)}"
        try:
            made = api.create_network(self.name, driver="bridge", options=_OPTIONS, labels=dict(labels), check_duplicate=True)
            self._id = str(made["Id"])
        except client_errors() as error:
            log.warning("the engine makes no network of our own (%s): preparing on its default one", error)
            self.name = DEFAULT

    def close(self) -> None:
        """Remove the network, if it is ours."""
        if self._id:
            with contextlib.suppress(*client_errors()):
                self._api.remove_network(self._id)
