"""The options that tie a job to others, its group and its flow, as fields of the protocol. Used by `jobmap`."""

from __future__ import annotations

from typing import Any, Final

from hubqueue.model.job import OnFailure, Options

POLICIES: Final = {
    OnFailure.FAIL: "failParentOnFailure",
    OnFailure.CONTINUE: "continueParentOnFailure",
    OnFailure.IGNORE: "ignoreDependencyOnFailure",
    OnFailure.REMOVE: "removeDependencyOnFailure",
}


def relative_fields(options: Options) -> dict[str, Any]:
    """Those that differ from the default."""
    fields: dict[str, Any] = {
        "groupId": options.group,
        "groupMaxSize": options.group_max_size,
        "dependsOn": options.depends_on or None,
        "childrenIds": options.children_ids or None,
        "parentId": options.parent_id,
    }
    if options.on_failure is not None:
        fields[POLICIES[options.on_failure]] = True
    return {name: value for name, value in fields.items() if value is not None}


def policy_of(fail: bool, go_on: bool, ignore: bool, remove: bool) -> OnFailure | None:
    """The policy behind the four flags of a job."""
    flags = zip(POLICIES, (fail, go_on, ignore, remove), strict=True)
    return next((policy for policy, flag in flags if flag), None)
