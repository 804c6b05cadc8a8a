"""Grading without a server: what was handed in, run apart and under limits, in a table and pages.

``collect`` finds and reads hand-ins, ``sandbox`` runs them, ``report`` writes ``grades.csv`` and
the feedback. The command line is ``assignments/grade.py``.

nbgrader's own ``autograde`` needs a database and its own folders, runs what students hand in
without limits, and counts every warning on the standard error as a failure. So only its format
and its release are used (``course``), and a test holds the points to be the same.
"""
