"""The declarative pipeline of the bundled migration, and the notebooks of the job that it replaces."""
