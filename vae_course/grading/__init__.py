"""Marking a class.

`run` marks a folder of submissions: `submissions` reads them, `sandbox` runs them, `marking` judges what they did,
`results` keeps and writes the grades, and `gradebook` passes them on to nbgrader.
"""
