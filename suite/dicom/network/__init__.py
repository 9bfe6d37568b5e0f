"""The hospital's wires: films in by C-STORE, folder or STOW-RS, results out by C-STORE or STOW-RS."""
