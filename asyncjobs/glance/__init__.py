"""How things stand, for people: what the dashboard and `asyncjobs top` show.

A `Glance` reads; `Overview` holds what it read; `findings` says what to do about it.
"""
