"""The renderer for batches of targets in torch, on a CPU or a CUDA device.

`synth.render.torch.batch.render_batch` draws many expressions of one rig at once and
gives the pictures of `synth.render.face.render`. Positions, coverage and depth are
float64, as on the CPU path, so that both see the same triangle in every pixel;
colours of the skin are float32, as there. Every sum runs in an order of its own, so
that a picture does not depend on the batch it is drawn in.
"""
