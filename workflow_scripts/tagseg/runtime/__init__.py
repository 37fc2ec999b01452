"""Shared by all jobs: command line, log, devices, threads, signals, process pools.

May import: nothing of tagseg.
"""
