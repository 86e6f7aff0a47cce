"""Which backend fits what a user needs: a decision from measured rows and fault cells of stored runs.

``needs`` is what the user said, ``candidates`` what could be used, ``evidence`` what stored runs show, and
``decide`` draws the conclusion. ``measure`` names the runs that would fill a gap. Pure, except that
``candidates`` imports backends to read what they declare. May import: ``backends``, ``brokers.kinds``,
``experiment``, ``faults`` and ``results``.
"""
