"""The command line: ``synth generate``, ``samples``, ``doctor`` and ``assets``."""
