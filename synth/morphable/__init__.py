"""The 3D morphable model: identity modes, ARKit blendshapes and landmarks on one mesh."""
