"""The verbs and loops of a hub. Everything a door, worker or bridge may ask of it is here."""
