"""Planned sets: from a plan of rows to shards on disk, in one process, several, or on Ray.

``plan -> jobs -> [make -> gates -> nuisance -> writer] per shard -> finish``. A shard
is the unit of work and of resuming; which worker makes it never changes a byte.
"""
