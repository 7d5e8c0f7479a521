"""One question a module; each has `section(dataset)` for the report."""
