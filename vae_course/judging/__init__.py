"""Judge answers: tasks, checks and verdicts."""
