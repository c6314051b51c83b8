"""Data the package ships: every file with version, sha256, licence and source."""
