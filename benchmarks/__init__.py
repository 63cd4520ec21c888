"""How fast the modules are, how much memory they take, and how far they are from a program that does no more than it must.

`python -m benchmarks` measures it all anew; `sekoia-lab bench` a part of it.
"""
