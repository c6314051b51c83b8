"""Models, textures and galleries from your own data: what the commands run."""
