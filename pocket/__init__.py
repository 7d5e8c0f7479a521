"""How the model pocket is made and measured: `python -m pocket.train`, `pocket.evaluate`.

Not part of the wheel; `explorer` and `analysis` never import it.
"""
