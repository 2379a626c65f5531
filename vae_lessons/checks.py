"""The module that held `check` before version 1.0."""

raise ImportError("`check` and `progress` have moved: write `from vae_course import check, progress`")
