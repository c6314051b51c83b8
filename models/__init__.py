"""Networks and their weights: GANmut, CycleGAN, score models, expression recognisers.

Layer 2: importable from `synth.models`; nothing here is needed to generate from
a neutral photo with the morphable model.
"""
