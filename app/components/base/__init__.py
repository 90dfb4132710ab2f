"""Parts that several drawn components share: how a component is made, and the JSON shapes that several values
contain.
"""
