"""All of this package that a student's code may see: calling a function, and saying what it did.

Marking copies this folder, and no other of `vae_course`, into the sandbox. Nothing in it knows a right answer, and it
imports nothing of the rest of the package.
"""
