"""Formats that make any object when they are read: what can be done about them, and what cannot."""

from __future__ import annotations

import libcst as cst

from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene, argument, has_stars, is_name
from remediator.builtin.codemods.transform import Transform, ambiguous, needs_design, unsafe

_OBJECT_READERS = frozenset(
    {
        *(
            f"{module}.{name}"
            for module in ("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "marshal")
            for name in ("load", "loads")
        ),
        *(f"{module}.Unpickler" for module in ("pickle", "cPickle", "_pickle", "dill")),
        "six.moves.cPickle.load",
        "six.moves.cPickle.loads",
        "joblib.load",
        "jsonpickle.decode",
        "jsonpickle.loads",
        "pandas.read_pickle",
        "shelve.open",
        "sklearn.externals.joblib.load",
    }
)


class ObjectReader(Transform):
    """Declines: another format is a decision about data that exist already."""

    name = "object-reader"
    cwe = frozenset({20, 502, 915})
    words = ("pickle", "marshal", "deserial", "dill", "shelve", "joblib")
    summary = "Read data that cannot carry code"
    behaviour = "None: it never changes anything."
    declines = (
        "Always: pickle, marshal, dill, joblib, shelve and jsonpickle need another data format (JSON, say), "
        "and the data that exist need a way there."
    )

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Refuse with the reason."""
        if not isinstance(node, cst.Call):
            return False
        allowed = argument(node, "allow_pickle", 2)
        if scene.name(node.func) == "numpy.load" and allowed is not None and not is_name(allowed.value, "False"):
            raise ambiguous("pickled objects are asked for; whether the files hold any is not in the code")
        found = scene.names(node.func) & _OBJECT_READERS
        if found:
            raise needs_design(f"{min(found)} makes any object; another format also changes what is written and what exists already")
        return False


class TorchWeightsOnly(Transform):
    """Loads tensors, not objects."""

    name = "torch-weights-only"
    cwe = frozenset({20, 502, 915})
    words = ("torch.load", "pytorch")
    summary = "Load model weights without running pickled code"
    behaviour = "Files that hold more than tensors and plain containers are refused; needs torch 1.13 or later (2.6 does so by default)."
    declines = "`weights_only` is a variable, a `pickle_module` is given, or arguments are unpacked."

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Give `weights_only=True`."""
        if not isinstance(node, cst.Call) or scene.name(node.func) != "torch.load":
            return False
        given = argument(node, "weights_only")
        if given is not None:
            if is_name(given.value, "True"):
                return False
            if not is_name(given.value, "False"):
                raise ambiguous("weights_only is decided elsewhere")
            draft.replace(given.value, "True")
            return True
        if has_stars(node) or argument(node, "pickle_module", 2) is not None:
            raise unsafe("the call has arguments that may clash with weights_only")
        draft.add_argument(node, "weights_only=True")
        return True
