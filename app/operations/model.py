"""The workspace as a plan imagines it: names and jobs, without effects. A step says what it leaves of a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from app.operations.world import JobAccess, JobState, Relation


class NotObserved(LookupError):
    """A name or job that the model knows nothing of."""


@dataclass(frozen=True)
class Model:
    """Relations by name, jobs and who may do what with them by id; read like the workspace itself (`world.Seen`)."""

    relations: Mapping[str, Relation]
    jobs: Mapping[int, JobState] = field(default_factory=dict)
    access: Mapping[int, JobAccess] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        relations: Iterable[Relation],
        jobs: Iterable[JobState] = (),
        access: Mapping[int, JobAccess] | None = None,
    ) -> Model:
        """A model that holds these."""
        return cls({r.name: r for r in relations}, {j.job_id: j for j in jobs}, access or {})

    def relation(self, name: str) -> Relation:
        """What a name stands for. Raises NotObserved."""
        try:
            return self.relations[name]
        except KeyError as e:
            raise NotObserved(f"{name} was not observed") from e

    def tags(self, name: str) -> tuple[tuple[str, str], ...]:
        """Tags of a table or view. Raises NotObserved."""
        return self.relation(name).tags

    def job(self, name: str, job_id: int | None = None) -> JobState:
        """A job by its id, else by name. Raises NotObserved."""
        for job in self.jobs.values():
            if job.job_id == job_id or (job_id is None and job.name == name):
                return job
        raise NotObserved(f"job {name} was not observed")

    def job_access(self, job_id: int) -> JobAccess:
        """Who may do what with a job. Raises NotObserved."""
        try:
            return self.access[job_id]
        except KeyError as e:
            raise NotObserved(f"who may do what with job {job_id} was not observed") from e

    def with_relations(self, *changed: Relation) -> Model:
        """The model with these relations in place of those of the same names."""
        return replace(self, relations={**self.relations, **{r.name: r for r in changed}})

    def with_job(self, changed: JobState) -> Model:
        """The model with this job in place of the one of the same id."""
        return replace(self, jobs={**self.jobs, changed.job_id: changed})

    def with_access(self, job_id: int, changed: JobAccess) -> Model:
        """The model with this in place of who might do what with a job."""
        return replace(self, access={**self.access, job_id: changed})
