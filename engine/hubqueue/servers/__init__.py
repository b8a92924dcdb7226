"""The doors of a hub. A door turns bytes into commands and replies into bytes; commands call the hub's verbs."""
