"""How HarfangLab gives its reasons, for the table of what the world answers."""

from tests.words.world import Api

API = Api(error=lambda reason, _: {"detail": reason})
