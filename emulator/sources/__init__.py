"""Source data of the bundled migration: invented, deterministic, sized by one number."""
