"""How the project is started."""
