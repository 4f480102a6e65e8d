"""The bundled migration in a local workspace: its jobs, pipelines, generated source tables and history."""
