"""Whether an installation works: versions, imports, and a tiny model that is trained, scored and used on the spot."""
