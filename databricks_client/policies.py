"""Attribute-based policies (ABAC) of Unity Catalog that reach a table: attached to it, to its schema or its catalog."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from databricks_client.answers import Answer
from databricks_client.held import UC
from databricks_client.rest import Rest

HIDING = {"POLICY_TYPE_ROW_FILTER": "row filter policy", "POLICY_TYPE_COLUMN_MASK": "column mask policy"}
"""Kinds that hide rows or values from those who read the table by its name."""


@dataclass(frozen=True)
class Policy:
    """A policy. kind: `POLICY_TYPE_ROW_FILTER`, `POLICY_TYPE_COLUMN_MASK`, or one that is not known here.

    on: what it is attached to, in words. conditions: when it reaches a table or a column of it; empty: always.
    """

    name: str
    kind: str
    on: str
    conditions: tuple[str, ...]

    @property
    def text(self) -> str:
        """The policy in a few words."""
        when = f" where {' and '.join(self.conditions)}" if self.conditions else ""
        return f"{self.name} on {self.on}{when}"


def of_table(rest: Rest, name: str) -> tuple[Policy, ...]:
    """Policies for tables that are attached to a table, its schema or its catalog, sorted by text.

    Only those that the acting principal may see: see `Held.blind_to_policies`. Raises WorkspaceError.
    """
    path = f"{UC}/policies/TABLE/{quote(name, safe='')}"
    pages = rest.pages(f"read policies of {name}", path, {"include_inherited": True, "max_results": 0})
    found = [_policy(p) for page in pages for p in page.objects("policies") if p.word("for_securable_type") == "TABLE"]
    return tuple(sorted(found, key=lambda p: p.text))


def _policy(policy: Answer) -> Policy:
    kind = policy.word_or_none("on_securable_type") or "TABLE"
    matched = (m.name("condition") for m in policy.objects("match_columns"))
    conditions = (policy.text_or_none("when_condition"), *matched)
    return Policy(
        policy.name("name"),
        policy.word("policy_type"),
        f"{kind.lower()} {policy.text_or_none('on_securable_fullname') or '(not named)'}",
        tuple(c for c in conditions if c),
    )
