"""paramiko clients that trust any host."""

from __future__ import annotations

import libcst as cst

from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene, dotted
from remediator.builtin.codemods.transform import Transform, unsafe

_TRUSTING = frozenset(
    f"{module}.{policy}"
    for module in ("paramiko", "paramiko.client")
    for policy in ("AutoAddPolicy", "WarningPolicy", "MissingHostKeyPolicy")
)


class HostKeys(Transform):
    """Knows the hosts of the system, and refuses all others."""

    name = "host-keys"
    cwe = frozenset({295, 297, 300, 322, 345})
    words = ("host key", "host-key", "autoaddpolicy", "paramiko", "missing_host_key")
    summary = "Refuse hosts whose key is not known"
    behaviour = "Connecting to a host that is not in the known_hosts file raises SSHException."
    declines = "The policy comes from elsewhere."

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Turn the policy into `RejectPolicy`, and load the system's host keys where none are."""
        if (
            not isinstance(node, cst.Call)
            or not isinstance(node.func, cst.Attribute)
            or node.func.attr.value != "set_missing_host_key_policy"
        ):
            return False
        if len(node.args) != 1:
            return False
        policy = node.args[0].value
        function = policy.func if isinstance(policy, cst.Call) and not policy.args else policy
        if scene.name(function) not in _TRUSTING:
            return False
        draft.replace(function, draft.sibling(function, "RejectPolicy"))
        draft.release(function)
        client = dotted(node.func.value)
        if not _loads_keys(scene):
            line = scene.line(node)
            if not client or line is None or not isinstance(scene.parent(node), cst.Expr) or not draft.stands_alone(line):
                raise unsafe("no host keys are loaded, and there is no place to do so")
            draft.add_lines_before(line, [f"{client}.load_system_host_keys()"])
        return True


def _loads_keys(scene: Scene) -> bool:
    return any(
        isinstance(node, cst.Call)
        and isinstance(node.func, cst.Attribute)
        and node.func.attr.value in ("load_system_host_keys", "load_host_keys", "get_host_keys")
        for node in scene.nodes()
    )
