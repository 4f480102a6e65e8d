"""One file a page: read the store, draw, hand the click on. No logic."""
