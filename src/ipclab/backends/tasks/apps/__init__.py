"""The applications that the frameworks' workers import, one module each. A submitter imports the same module.

Each reads its settings from the environment, makes the framework's application, and has the task ``effect``.
"""
