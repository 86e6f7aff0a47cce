"""The search for the largest rate that keeps a limit on latency. Pure: no clock, no process, no file.

``Search`` asks for trials and is told their outcomes; ``make_bracket`` turns the same outcomes into an
answer. It is therefore derived again from stored trials, without the search.

May import: ``trial`` (specs, records, distributions), ``errors``.
"""
