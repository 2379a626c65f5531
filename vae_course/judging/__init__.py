"""Judging answers: tasks, verdicts, and how one leads to the other."""
