"""The commands of `sekoia-lab`, a file each; `lab/cli.py` lists them."""
