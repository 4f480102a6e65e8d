"""The report for people who do not open the panel: one HTML page or one JSON value, from the store alone."""
