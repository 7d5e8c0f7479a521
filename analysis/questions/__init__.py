"""One question a module; each has `section(material)` for the report."""
