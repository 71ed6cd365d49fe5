"""The reference tasks: what is asked, and how an outcome is graded.

Each folder is one task. Nothing here imports `evaluator` or `implementations`, and only the
standard library and pydantic are needed, because the tasks are also loaded inside the
environment of each framework.
"""
