"""Recalibration on a site's own films: what it needs of a network, how films are scored, what is in force."""
