"""`cutover doctor`: whether this process can do its work in the workspace, and what mends what it finds."""
