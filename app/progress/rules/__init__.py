"""Rules: one pure function for each kind of evidence in the migration file, evidence in, finding out."""
