"""One question a module; each has pure functions, and `section(dataset)` for the report."""

QUESTIONS = (  # in the order of the report
    *("contrast", "gap", "arithmetic", "directions", "pca", "roundtrip", "support"),
    *("diffusion", "smoothness", "typography", "binding", "concepts", "neighbours", "encoders"),
)
