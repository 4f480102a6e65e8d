"""`cutover init`: a first migration file, drafted from a job and a pipeline of the workspace; every guess is marked."""
