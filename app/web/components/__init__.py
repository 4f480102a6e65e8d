"""Parts that pages share: text, status marks, "as of", charts, tables with export, identity."""
