"""What the pipeline's definitions are made of: settings, exclusions, expectations and one function per dataset.

Imported as `fde` where the pipeline runs (its root folder is on the path) and as `pipeline.fde` in this repository.
"""
