"""The only part of this package that a student's code may see: it calls functions and records what they do.

Marking copies this folder, and no other part of `vae_course`, into the sandbox. It contains no references, hints
or tasks, and imports nothing from the rest of the package.
"""
