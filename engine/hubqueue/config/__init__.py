"""The configuration of a hub process: hubqueue.yaml, then HUBQUEUE_* variables, then flags; the later wins.

`load.load` is the only way in. What comes out are frozen dataclasses; nobody below app.py sees a raw key.
Nothing is imported here: the command line reads `options` at every start and must stay quick.
"""
