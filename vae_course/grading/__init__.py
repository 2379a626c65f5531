"""Mark a class.

`run` marks a folder of submissions: `submissions` reads them, `sandbox` runs them, `marking` judges the answers,
`results` stores and writes the grades, and `gradebook` passes them on to nbgrader.
"""
