"""Operations on the workspace: plan, gates, approvals, engine, journal, way back."""
