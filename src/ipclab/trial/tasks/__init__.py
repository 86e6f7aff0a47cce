"""The processes of a trial of a task queue: its submitter, its workers, and the files that they share."""
