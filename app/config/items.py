"""Items of a migration file: what proves each, who decides it, and in which phase it is."""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from app.config.base import Frozen, Mistake, first_mistake, location
from app.config.evidence_params import KINDS, RuleParams
from app.config.roles import Role


class Evidence(Frozen):
    """What proves a deliverable, a metric or a gate. `kind` names a rule of `app.progress`; `manual` needs a person."""

    kind: str
    params: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_params(self) -> Evidence:
        if self.kind not in KINDS:
            raise Mistake(f"evidence kind {self.kind!r} is none of {', '.join(sorted(KINDS))}", "kind")
        try:
            _ = self.checked_params
        except ValidationError as e:
            raise Mistake(f"evidence {self.kind}: {first_mistake(e)}", "params", *location(e)) from e
        return self

    @cached_property
    def checked_params(self) -> RuleParams:
        """The parameters, checked."""
        return KINDS[self.kind].model_validate(self.params)


class Needs(StrEnum):
    """What an item needs before it is met."""

    EVIDENCE = "evidence"
    PERSON = "person"
    BOTH = "both"


class Item(Frozen):
    """A deliverable or a metric.

    needs: by default a person for evidence of kind `manual`, else evidence; `both`: evidence, and a person's tick.
    owner: user name of who answers for it; empty: any operator. hint: how to get it done.
    """

    key: str
    title: str
    evidence: Evidence = Evidence(kind="manual")
    needs: Needs = Field(Needs.PERSON, validate_default=True)
    owner: str = ""
    hint: str = ""

    @model_validator(mode="before")
    @classmethod
    def _default_needs(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("needs") is not None:
            return data
        evidence = data.get("evidence")
        kind = evidence.get("kind") if isinstance(evidence, dict) else getattr(evidence, "kind", "manual")
        return {**data, "needs": Needs.PERSON if kind == "manual" else Needs.EVIDENCE}

    @field_validator("needs")
    @classmethod
    def _check_needs(cls, value: Needs, info: ValidationInfo) -> Needs:
        evidence = info.data.get("evidence")
        if isinstance(evidence, Evidence) and (evidence.kind == "manual") != (value is Needs.PERSON):
            kind = "manual evidence" if evidence.kind == "manual" else f"evidence {evidence.kind}"
            raise ValueError(f"an item with {kind} cannot need {value}")
        return value

    @property
    def ticked(self) -> bool:
        """Whether a person ticks it."""
        return self.needs is not Needs.EVIDENCE

    @cached_property
    def rule(self) -> str:
        """Digest of what it needs: a record of an item proves nothing for another rule under its key."""
        return rule_of(self.evidence, self.needs)


def rule_of(evidence: Evidence, needs: str = Needs.EVIDENCE) -> str:
    """16 hexadecimal digits of the SHA-256 over kind and parameters of the evidence, and what else is needed."""
    text = f"{needs} {evidence.kind} {json.dumps(evidence.params, sort_keys=True)}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Deliverable(Item):
    """One box of the guide."""


class Metric(Item):
    """A success metric of the guide, in one of its three groups."""

    group: Literal["technical", "business", "quality"]


class Step(Frozen):
    """A step of a phase with its deliverables."""

    key: str
    title: str
    weeks: str = ""
    goal: str = ""
    deliverables: tuple[Deliverable, ...]


class Phase(Frozen):
    """A phase of the guide."""

    key: str
    title: str
    weeks: str
    steps: tuple[Step, ...]


class SignOff(Frozen):
    """Someone's consent that cutover needs; `role` may give it. owner: user name of who is expected to."""

    key: str
    title: str
    role: Role
    owner: str = ""
